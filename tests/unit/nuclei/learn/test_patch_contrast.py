import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from scipy.spatial.distance import cdist, cosine
from sklearn.metrics import log_loss, mutual_info_score
from torch import Generator

from wsikd.nuclei.learn.patch_contrast import (
    cosine_similarity,
    cross_entropy_similarity,
    draw_anchors,
    kl_similarity,
    mse_similarity,
    mutual_information_similarity,
    patch_contrast_loss,
    separation,
)
from wsikd.nuclei.network import FeatureNetwork

BINS = 25


def patches(*values):
    """Make patches of single pixels side by side, of one colour."""
    return torch.tensor(values, dtype=torch.double)[:, None, None, :]


def drawn(count, seed, *, side=4, colours=3):
    random = Generator().manual_seed(seed)
    return torch.rand(count, colours, side, side, generator=random, dtype=torch.double)


def rows(values):
    return values.flatten(1).numpy()


def pairwise(measure, first, second):
    return [[measure(a, b) for b in rows(second)] for a in rows(first)]


def test_mse_is_worked_out_by_hand():
    similar = mse_similarity(patches([0.0, 0.5]), patches([0.0, 0.5], [1.0, 0.0]))
    torch.testing.assert_close(similar, torch.tensor([[0.0, -(1 + 0.25) / 2]], dtype=torch.double))


def test_mse_is_that_of_scipy_over_colours_and_pixels():
    first, second = drawn(3, 0), drawn(5, 1)
    expected = -cdist(rows(first), rows(second), "sqeuclidean") / (3 * 4 * 4)
    np.testing.assert_allclose(mse_similarity(first, second), expected, rtol=1e-9)


def test_mse_of_large_patches_keeps_small_differences_in_single_precision():
    first = drawn(2, 0, side=50)
    second = first + 1e-3 * torch.randn(first.shape, dtype=torch.double)
    expected = -cdist(rows(first), rows(second), "sqeuclidean") / 7500
    similar = mse_similarity(first.float(), second.float())
    np.testing.assert_allclose(similar, expected, atol=1e-6)


def test_cross_entropy_is_worked_out_by_hand():
    similar = cross_entropy_similarity(patches([0.25, 0.5]), patches([1.0, 0.5]))
    assert similar.item() == pytest.approx((math.log(0.25) + math.log(0.5)) / 2)


def test_cross_entropy_is_the_log_loss_of_sklearn_where_the_second_is_black_and_white():
    first, second = drawn(3, 0), drawn(4, 1).round()
    expected = pairwise(lambda a, b: -log_loss(b, a, labels=[0, 1]), first, second)
    np.testing.assert_allclose(cross_entropy_similarity(first, second), expected, rtol=1e-9)


def test_cross_entropy_is_that_of_torch_at_black_and_white_too():
    first, second = drawn(3, 0), drawn(4, 1)
    first[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    first[1] = first[1].round()
    expected = [[-F.binary_cross_entropy(a, b) for b in second] for a in first]
    torch.testing.assert_close(cross_entropy_similarity(first, second), torch.tensor(expected))


def test_mutual_information_is_that_of_sklearn_on_the_centres_of_bins():
    """Few grey values, so that they say something of each other."""
    random = np.random.default_rng(0)
    first, second = (random.integers(0, 4, (count, 1, 6, 6)) * 8 for count in (3, 4))
    second[0] = first[0] // 2
    similar = mutual_information_similarity(
        *(torch.tensor(bins / (BINS - 1)).expand(-1, 3, -1, -1) for bins in (first, second))
    )
    expected = [[mutual_info_score(a.ravel(), b.ravel()) for b in second] for a in first]
    np.testing.assert_allclose(similar, expected, atol=1e-9)


def test_mutual_information_shares_values_between_bins_as_loops_do():
    first, second = drawn(2, 0), drawn(3, 1)

    def shares(patch):
        """Weight of each pixel in each bin, by how near the grey value is."""
        weights = np.zeros((16, BINS))
        for pixel, grey in enumerate(patch.mean(0).flatten().tolist()):
            below = math.floor(grey * (BINS - 1))
            weights[pixel, below] = 1 - (grey * (BINS - 1) - below)
            weights[pixel, below + 1] = grey * (BINS - 1) - below
        return weights

    def information(a, b):
        joint = sum(np.outer(of_a, of_b) for of_a, of_b in zip(shares(a), shares(b), strict=True))
        joint /= joint.sum()
        return sum(
            joint[k, m] * math.log(joint[k, m] / (joint[k].sum() * joint[:, m].sum()))
            for k, m in np.argwhere(joint > 0)
        )

    expected = [[information(a, b) for b in second] for a in first]
    np.testing.assert_allclose(mutual_information_similarity(first, second), expected, atol=1e-9)


def test_kl_is_worked_out_by_hand():
    similar = kl_similarity(patches([0.1, 0.3]), patches([0.4, 0.4]))  # a quarter and three
    assert similar.item() == pytest.approx(-(0.25 * math.log(0.5) + 0.75 * math.log(1.5)))


def test_kl_is_the_relative_entropy_of_scipy_whatever_the_brightness():
    first, second = drawn(3, 0), drawn(4, 1)
    expected = pairwise(lambda a, b: -stats.entropy(a, b), first, second)
    np.testing.assert_allclose(kl_similarity(first, second), expected, rtol=1e-9)
    torch.testing.assert_close(kl_similarity(first * 0.3, second), kl_similarity(first, second))


def test_cosine_is_that_of_scipy():
    torch.manual_seed(0)
    featuriser = FeatureNetwork().eval().double()
    with torch.no_grad():
        first, second = featuriser(drawn(3, 0, side=50)), featuriser(drawn(4, 1, side=50))
    expected = pairwise(lambda a, b: 1 - cosine(a, b), first, second)
    np.testing.assert_allclose(cosine_similarity(first, second), expected, rtol=1e-9)


def loss_in_loops(positives, negatives, anchors, *, temperature=1.0, released_images=None):
    """The equations of the paper, with less the mean squared difference as similarity."""

    def similarity(a, b):
        return -float(((a - b) ** 2).mean()) / temperature

    def log_sum(a, others):
        return math.log(sum(math.exp(similarity(a, q)) for q in others))

    intra = inter = 0.0
    for k, own in enumerate(positives):
        others = [q for m, patch in enumerate(positives) if m != k for q in patch]
        pairs = [(a, p) for a in anchors[k].tolist() for p in range(len(own))]
        if released_images is None:
            pairs = [(a, p) for a, p in pairs if a != p]
        divisor = len(pairs) if released_images is None else 100 * released_images
        for a, p in pairs:
            near = similarity(own[a], own[p])
            intra += (log_sum(own[a], negatives[k]) - near) / divisor
            inter += (log_sum(own[a], others) - near) / divisor if others else 0.0
    return {"intra": intra, **({"inter": inter} if len(positives) > 1 else {})}


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("temperature", [1.0, 0.1])
@pytest.mark.parametrize("released_images", [None, 2])
def test_the_loss_is_the_published_sum_written_out_in_loops(channels, temperature, released_images):
    positives = [drawn(count, count) for count in (3, 5, 2)[:channels]]
    negatives = [drawn(count, 10 + count) for count in (4, 1, 2)[:channels]]
    anchors = [torch.tensor(chosen) for chosen in ([0, 2, 2], [4], [1, 0])[:channels]]
    options = {"temperature": temperature, "released_images": released_images}
    terms = patch_contrast_loss(positives, negatives, mse_similarity, anchors, **options)
    expected = loss_in_loops(positives, negatives, anchors, **options)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-9)


def test_the_loss_of_three_numbers_is_worked_out_by_hand():
    """An anchor of 0, its fellow 2 and a negative 1: a pair is 4 apart, the negative 1."""
    positives, negatives = [patches([0.0], [2.0])], [patches([1.0])]
    anchors = [torch.tensor([0])]
    terms = patch_contrast_loss(positives, negatives, mse_similarity, anchors)
    assert {name: term.item() for name, term in terms.items()} == {"intra": 4 - 1}


def test_the_released_loss_pairs_an_anchor_with_itself_and_divides_by_a_hundred():
    positives, negatives = [patches([0.0], [2.0])], [patches([1.0])]
    terms = patch_contrast_loss(
        positives, negatives, mse_similarity, [torch.tensor([0])], released_images=5
    )
    assert terms["intra"].item() == pytest.approx(((0 - 1) + (4 - 1)) / 500)


def test_the_loss_is_low_if_positives_agree_and_differ_from_all_else():
    bright, dark = drawn(4, 0) * 0.1 + 0.9, drawn(4, 1) * 0.1
    anchors = [torch.arange(4), torch.arange(4)]

    def total(positives, negatives):
        terms = patch_contrast_loss(positives, negatives, mse_similarity, anchors)
        return float(sum(terms.values()))

    mixed = torch.cat([bright[:2], dark[:2]])
    apart = total([bright, dark], [dark, bright])
    assert apart < total([bright, bright], [dark, dark])  # channels that show the same
    assert apart < total([bright, dark], [bright, dark])  # negatives that look like positives
    assert apart < total([mixed, mixed], [mixed, mixed])


def test_the_loss_teaches_positives_and_negatives_of_all_channels():
    positives = [drawn(3, k).requires_grad_() for k in range(2)]
    negatives = [drawn(2, 5 + k).requires_grad_() for k in range(2)]
    anchors = [torch.tensor([0, 1])] * 2
    terms = patch_contrast_loss(positives, negatives, mse_similarity, anchors)
    sum(terms.values()).backward()
    assert all((each.grad.abs().sum((1, 2, 3)) > 0).all() for each in positives + negatives)


def test_the_loss_does_not_depend_on_how_many_windows_there_are():
    """As windows doubled in number change neither means over pairs nor, but for a log, sums."""
    positives, negatives = drawn(2, 0), drawn(3, 1)
    anchors = [torch.tensor([0, 1])]
    once = patch_contrast_loss([positives], [negatives], mse_similarity, anchors)
    twice = patch_contrast_loss(
        [positives], [negatives.repeat(2, 1, 1, 1)], mse_similarity, anchors
    )
    assert (twice["intra"] - once["intra"]).item() == pytest.approx(math.log(2))


def test_anchors_are_drawn_of_each_channel_with_equal_chances():
    first, second = draw_anchors([5, 2], Generator().manual_seed(0), count=5000)
    assert stats.chisquare(np.bincount(first, minlength=5)).pvalue > 0.01
    assert stats.chisquare(np.bincount(second, minlength=2)).pvalue > 0.01


def test_separation_is_worked_out_by_hand():
    """Positives 0 and 2 are 4 apart, the negative 3 is 9 and 1 from them: 4 by their mean 5."""
    assert separation([(patches([0.0], [2.0]), patches([3.0]))]) == pytest.approx(4 / 5)


def test_separation_sums_over_channels_before_it_divides():
    pairs = [(drawn(3, 0), drawn(2, 1)), (drawn(5, 2), drawn(4, 3))]
    within = between = 0.0
    for positives, negatives in pairs:
        own = cdist(rows(positives), rows(positives), "sqeuclidean")
        within += own[~np.eye(len(own), dtype=bool)].mean()
        between += cdist(rows(positives), rows(negatives), "sqeuclidean").mean()
    assert separation(pairs) == pytest.approx(within / between)


def test_separation_is_0_if_positives_agree_and_1_if_windows_are_alike():
    same = torch.full((4, 3, 2, 2), 0.5)
    assert separation([(same, same[:2] * 0)]) == 0
    alike = drawn(400, 0)
    assert separation([(alike[:200], alike[200:])]) == pytest.approx(1, abs=0.02)


def test_separation_is_infinite_without_windows_or_without_a_difference():
    assert separation([]) == math.inf
    assert separation([(torch.ones(2, 3, 2, 2), torch.ones(1, 3, 2, 2))]) == math.inf
