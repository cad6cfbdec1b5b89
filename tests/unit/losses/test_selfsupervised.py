import math

import numpy as np
import pytest
import torch

from wsikd.errors import ConfigError
from wsikd.losses.selfsupervised import (
    OBJECTIVES,
    barlow_twins_loss,
    info_nce_loss,
    nt_xent_loss,
    triple_loss,
    vicreg_loss,
)

# fewer and more dimensions than pairs, which are summed in different ways
SHAPES = [(6, 4), (4, 7), (2, 3)]


@pytest.fixture(params=SHAPES, ids=str)
def pair(request):
    return np.random.default_rng(0).normal(0.3, 0.7, (2, *request.param))


def tensors(pair):
    return (torch.tensor(projection) for projection in pair)


def values(terms):
    return {name: term.item() for name, term in terms.items()}


def covariance(projection, i, j, *, divisor):
    mean = projection.mean(0)
    return sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in projection) / divisor


def sum_of_spread(pair, *, divisor, epsilon):
    """Over both branches: mean of what the standard deviation lacks to 1."""
    width = pair.shape[2]
    total = 0.0
    for projection in pair:
        for i in range(width):
            deviation = math.sqrt(covariance(projection, i, i, divisor=divisor) + epsilon)
            total += max(0.0, 1 - deviation) / width
    return total


def sum_of_covariances(pair, *, divisor):
    """Over both branches: squared covariances of different dimensions, by the dimensions."""
    width = pair.shape[2]
    return sum(
        covariance(projection, i, j, divisor=divisor) ** 2 / width
        for projection in pair
        for i in range(width)
        for j in range(width)
        if i != j
    )


def mean_squared_difference(pair):
    count, width = pair.shape[1:]
    differences = [(pair[0, n, d] - pair[1, n, d]) ** 2 for n in range(count) for d in range(width)]
    return sum(differences) / len(differences)


def test_vicreg_is_the_sum_written_out_by_hand(pair):
    count = pair.shape[1]
    assert values(vicreg_loss(*tensors(pair))) == pytest.approx(
        {
            "invariance": 25 * mean_squared_difference(pair),
            "variance": 25 * sum_of_spread(pair, divisor=count - 1, epsilon=1e-4) / 2,
            "covariance": sum_of_covariances(pair, divisor=count - 1),
        },
        rel=1e-10,
    )


def test_vicreg_of_the_published_code_is_its_sum_over_the_batch_divided_by_the_batch(pair):
    count = pair.shape[1]
    per_pair = [
        # both ordered pairs of branches are counted
        25 * (((a - b) ** 2).mean() + ((b - a) ** 2).mean())
        + 25 * sum_of_spread(pair, divisor=count, epsilon=1e-5)
        + sum_of_covariances(pair, divisor=count)
        for a, b in zip(*pair, strict=True)
    ]
    terms = vicreg_loss(*tensors(pair), convention="release")
    assert sum(values(terms).values()) == pytest.approx(sum(per_pair) / count, rel=1e-10)
    assert terms["invariance"].item() == pytest.approx(50 * mean_squared_difference(pair))


def test_vicreg_weighs_each_term(pair):
    plain = values(vicreg_loss(*tensors(pair), invariance=1, variance=1, covariance=1))
    weighed = values(vicreg_loss(*tensors(pair), invariance=2, variance=3, covariance=0.5))
    expected = {name: plain[name] * by for name, by in zip(plain, (2, 3, 0.5), strict=True)}
    assert weighed == pytest.approx(expected)


def test_vicreg_never_holds_a_matrix_of_all_dimensions():
    # 100 000 x 100 000 covariances would take 40 GB
    first, second = torch.randn(2, 4, 100_000)
    assert all(term.isfinite() for term in vicreg_loss(first, second).values())


def cosine(a, b):
    return (a @ b) / (math.sqrt(a @ a) * math.sqrt(b @ b))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_nt_xent_is_the_sum_written_out_by_hand(pair, temperature):
    count = pair.shape[1]
    every = np.concatenate(pair)
    total = 0.0
    for i in range(2 * count):
        likeness = {
            k: math.exp(cosine(every[i], every[k]) / temperature)
            for k in range(2 * count)
            if k != i
        }
        partner = i + count if i < count else i - count
        total -= math.log(likeness[partner] / sum(likeness.values()))
    loss = nt_xent_loss(*tensors(pair), temperature)
    assert loss.item() == pytest.approx(total / (2 * count), rel=1e-10)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_info_nce_is_the_sum_written_out_by_hand(pair, temperature):
    first, second = pair
    count = len(first)
    total = 0.0
    for one, other in ((first, second), (second, first)):
        for i in range(count):
            likeness = [math.exp(cosine(one[i], row) / temperature) for row in other]
            total -= math.log(likeness[i] / sum(likeness)) / (2 * count)
    loss = info_nce_loss(*tensors(pair), temperature)
    assert loss.item() == pytest.approx(total, rel=1e-10)


def test_nt_xent_tells_a_branch_apart_and_info_nce_does_not():
    # alike within each branch, and nothing in common between the branches
    first, second = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0]] * 2)
    assert info_nce_loss(first, second).item() == pytest.approx(math.log(2))
    assert nt_xent_loss(first, second).item() == pytest.approx(math.log(2 + math.exp(2)))


@pytest.mark.parametrize("loss", [nt_xent_loss, info_nce_loss])
def test_a_temperature_must_be_above_zero(loss):
    with pytest.raises(ConfigError, match="temperature must be above 0, got 0"):
        loss(torch.rand(2, 3), torch.rand(2, 3), 0.0)


def test_barlow_twins_is_the_sum_written_out_by_hand(pair):
    count, width = pair.shape[1:]
    deviations = np.sqrt(pair.var(1, keepdims=True) + 1e-5)
    first, second = (pair - pair.mean(1, keepdims=True)) / deviations
    diagonal = others = 0.0
    for i in range(width):
        for j in range(width):
            correlation = sum(first[n, i] * second[n, j] for n in range(count)) / count
            diagonal += (1 - correlation) ** 2 if i == j else 0
            others += correlation**2 if i != j else 0
    expected = {"invariance": diagonal, "redundancy": 0.02 * others}
    terms = barlow_twins_loss(*tensors(pair), off_diagonal=0.02)
    assert values(terms) == pytest.approx(expected, rel=1e-9)


def test_barlow_twins_weighs_redundancy_as_the_paper_unless_told(pair):
    told = barlow_twins_loss(*tensors(pair), off_diagonal=1.0)["redundancy"]
    assert barlow_twins_loss(*tensors(pair))["redundancy"] == pytest.approx(5e-3 * told)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_three_views_give_the_mean_of_the_objective_over_their_pairs(name):
    a, b, c = torch.randn(3, 5, 4, dtype=torch.double)
    objective = OBJECTIVES[name]
    seen = [values(objective(*pair)) for pair in ((a, b), (a, c), (b, c))]
    expected = {term: sum(each[term] for each in seen) / 3 for term in seen[0]}
    assert values(triple_loss(objective, a, b, c)) == pytest.approx(expected)
