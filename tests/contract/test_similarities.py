"""What every similarity of windows keeps."""

import pytest
import torch

from wsikd.nuclei.learn.patch_contrast import SIMILARITIES, patch_contrast_loss


def drawn(name, count, seed=0):
    """Draw patches, or what a featuriser says of them."""
    random = torch.Generator().manual_seed(seed)
    patches = torch.rand(count, 3, 4, 4, generator=random, dtype=torch.double)
    return patches.flatten(1) - 0.5 if name == "cosine" else patches


@pytest.mark.parametrize(("name", "similarity"), SIMILARITIES.items(), ids=SIMILARITIES)
class TestEverySimilarity:
    def test_compares_every_patch_with_every_other(self, name, similarity):
        assert similarity(drawn(name, 3), drawn(name, 5, seed=1)).shape == (3, 5)

    def test_compares_two_patches_whoever_else_is_there(self, name, similarity):
        first, second = drawn(name, 3), drawn(name, 5, seed=1)
        alone = [[similarity(a[None], b[None]).item() for b in second] for a in first]
        torch.testing.assert_close(similarity(first, second), torch.tensor(alone).double())

    def test_is_largest_for_the_same_patch(self, name, similarity):
        patches = drawn(name, 8)
        assert similarity(patches, patches).argmax(0).tolist() == list(range(8))

    def test_has_the_gradients_of_small_differences(self, name, similarity):
        inputs = drawn(name, 2).requires_grad_(), drawn(name, 3, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(similarity, inputs)

    def test_is_nearly_the_same_in_single_precision(self, name, similarity):
        first, second = drawn(name, 3), drawn(name, 5, seed=1)
        single = similarity(first.float(), second.float())
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), similarity(first, second), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("kind", [torch.float32, torch.float64])
    def test_is_finite_with_its_gradients_at_black_and_white(self, name, similarity, kind):
        first, second = drawn(name, 4).to(kind), drawn(name, 5, seed=1).to(kind)
        first[0], first[1], second[0], second[1] = 0, 1, 0, 1
        first[2], second[2] = first[2].round(), first[2].round()
        first.requires_grad_(), second.requires_grad_()
        similar = similarity(first, second)
        similar.sum().backward()
        assert all(each.isfinite().all() for each in (similar, first.grad, second.grad))

    @pytest.mark.parametrize("value", [0.0, 1e-42, 1e-20, 1e-7, 1.0])
    def test_serves_the_loss_where_confidences_vanish_or_saturate(self, name, similarity, value):
        patches = drawn(name, 6).float()
        patches[:2] = value
        patches[4] = value
        patches.requires_grad_()
        anchors = [torch.tensor([0, 1, 3])]
        terms = patch_contrast_loss([patches[:4]], [patches[4:]], similarity, anchors)
        terms["intra"].backward()
        assert terms["intra"].isfinite()
        assert patches.grad.isfinite().all()
