"""What every objective of self-supervision keeps."""

import pytest
import torch

from wsikd.errors import ConfigError
from wsikd.losses.selfsupervised import OBJECTIVES, triple_loss

SHAPES = [(8, 5), (5, 12)]


def triple(objective):
    """Make an objective of two out of that of three, with the first view seen twice."""
    return lambda first, second: triple_loss(objective, first, first * 0.9, second)


LOSSES = OBJECTIVES | {f"{name} of three": triple(loss) for name, loss in OBJECTIVES.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("objective", LOSSES.values(), ids=LOSSES)
class TestEveryObjective:
    def test_gives_named_terms_that_are_means_of_the_batch(self, objective, shape):
        terms = objective(torch.randn(shape), torch.randn(shape))
        assert terms
        assert all(term.shape == () for term in terms.values())

    def test_teaches_both_branches(self, objective, shape):
        first = torch.randn(shape, requires_grad=True)
        second = torch.randn(shape, requires_grad=True)
        sum(objective(first, second).values()).backward()
        assert first.grad.abs().sum() > 0
        assert second.grad.abs().sum() > 0

    def test_does_not_depend_on_the_order_of_the_pairs(self, objective, shape):
        first, second = torch.randn(2, *shape, dtype=torch.double)
        order = torch.randperm(len(first))
        torch.testing.assert_close(objective(first[order], second[order]), objective(first, second))

    def test_depends_on_which_rows_are_pairs(self, objective, shape):
        first, second = torch.randn(2, *shape, dtype=torch.double)
        mixed = objective(first, second.roll(1, 0))
        assert sum(mixed.values()).item() != pytest.approx(
            sum(objective(first, second).values()).item()
        )

    def test_is_lower_for_pairs_that_agree(self, objective, shape):
        first = torch.randn(shape)
        agree, differ = objective(first, first), objective(first, torch.randn(shape))
        assert sum(agree.values()) < sum(differ.values())

    @pytest.mark.parametrize("size", [0.0, 1e-30, 1e-6, 1e6])
    def test_is_finite_at_extremes(self, objective, shape, size):
        first = (size * torch.randn(shape)).requires_grad_()
        second = (-size * torch.randn(shape)).requires_grad_()
        terms = objective(first, second)
        sum(terms.values()).backward()
        assert all(term.isfinite() for term in terms.values())
        assert first.grad.isfinite().all()
        assert second.grad.isfinite().all()

    @pytest.mark.parametrize("value", [0.3, 1e6])
    def test_is_finite_when_all_rows_are_the_same(self, objective, shape, value):
        first = torch.full(shape, value, requires_grad=True)
        second = torch.full(shape, -value, requires_grad=True)
        terms = objective(first, second)
        sum(terms.values()).backward()
        assert all(term.isfinite() for term in terms.values())
        assert first.grad.isfinite().all()

    def test_stays_as_precise_in_float32(self, objective, shape):
        first, second = torch.randn(2, *shape, dtype=torch.double)
        terms = objective(first.float(), second.float())
        precise = {name: term.float() for name, term in objective(first, second).items()}
        torch.testing.assert_close(terms, precise, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
class TestEveryObjectiveByName:
    @pytest.mark.parametrize("count", [0, 1])
    def test_refuses_a_batch_of_one(self, name, count):
        says = rf"objective '{name.split('-')[0]}[a-z-]*' needs at least 2 pairs in a batch, "
        with pytest.raises(ConfigError, match=says + f"got {count}; raise --batch"):
            OBJECTIVES[name](torch.rand(count, 4), torch.rand(count, 4))

    def test_refuses_projections_of_two_shapes(self, name):
        with pytest.raises(ConfigError, match=r"needs projections of one shape, got \(3, 4\) and"):
            OBJECTIVES[name](torch.rand(3, 4), torch.rand(3, 5))
