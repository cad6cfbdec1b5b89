import numpy as np
import pytest
from skimage.color import hed2rgb
from sklearn.metrics import f1_score, r2_score

from wsikd.geometry import Mpp
from wsikd.nuclei.channel import (
    LARGEST_SHARE,
    Choice,
    choose_channel,
    haematoxylin,
    nuclear_confidence,
    rank_channels,
    stain_threshold,
)

LEVELS = 8
SHAPES = [(30, 41), (25, 33)]


def stepped(random, shape):
    """Draw confidences of eight levels, so that all thresholds can be tried."""
    return (random.integers(0, LEVELS, shape) + 0.3) / LEVELS


@pytest.fixture
def drawn():
    """Two images of three channels: one follows the stain, one goes against it, one neither."""
    random = np.random.default_rng(0)
    confidences = [stepped(random, (3, *shape)) for shape in SHAPES]
    stains = [
        each[0] - 0.6 * each[1] + random.normal(0, 0.3, each.shape[1:]) for each in confidences
    ]
    return confidences, stains


def explained(stain, part):
    """Share of variance that the means of a part and of the rest explain, if the part has more."""
    if part.all() or not part.any() or stain[part].mean() < stain[~part].mean():
        return 0.0
    means = np.where(part, stain[part].mean(), stain[~part].mean())
    return r2_score(stain.ravel(), means.ravel())


def dice(mask, part):
    return f1_score(mask.ravel(), part.ravel())


def best_by_trial(confidences, targets, channel, inverted, score):
    """Try every partition that levels allow, and give the best mean score."""
    scores = []
    for level in range(LEVELS + 1):
        above = [each[channel] > level / LEVELS for each in confidences]
        parts = [~part if inverted else part for part in above]
        if np.mean([part.mean() for part in parts]) <= LARGEST_SHARE:
            scores.append(np.mean([score(*pair) for pair in zip(targets, parts, strict=True)]))
    return max(scores)


def parts_of(choice, confidences):
    return [nuclear_confidence(each, choice) > choice.threshold for each in confidences]


def squares(side, gap, shape, *, low=0.1, high=0.9):
    """Make confidences that are high in squares beside each other."""
    rows, columns = (np.arange(length) % (side + gap) < side for length in shape)
    return np.where(rows[:, None] & columns, high, low)


@pytest.mark.parametrize("labelled", [False, True])
def test_ranks_every_channel_and_side_by_its_best_partition(drawn, labelled):
    confidences, stains = drawn
    targets = [stain > 0.4 for stain in stains] if labelled else stains
    score = dice if labelled else explained
    ranked = rank_channels(confidences, targets, labelled=labelled)
    expected = {
        (channel, inverted): best_by_trial(confidences, targets, channel, inverted, score)
        for channel in range(3)
        for inverted in (False, True)
    }
    found = {(choice.channel, choice.inverted): choice.score for choice in ranked}
    assert found == pytest.approx(expected, abs=1e-9)
    assert [choice.score for choice in ranked] == sorted(found.values(), reverse=True)
    assert [(choice.channel, choice.inverted) for choice in ranked[:2]] == [(0, False), (1, True)]


@pytest.mark.parametrize("labelled", [False, True])
def test_the_threshold_gives_the_partition_that_was_scored(drawn, labelled):
    confidences, stains = drawn
    targets = [stain > 0.4 for stain in stains] if labelled else stains
    score = dice if labelled else explained
    for choice in rank_channels(confidences, targets, labelled=labelled):
        pairs = zip(targets, parts_of(choice, confidences), strict=True)
        assert np.mean([score(*pair) for pair in pairs]) == pytest.approx(choice.score, abs=1e-9)


def test_scores_are_eta_squared_of_an_analysis_of_variance(drawn):
    confidences, stains = drawn
    best = rank_channels(confidences[:1], stains[:1])[0]
    part = parts_of(best, confidences[:1])[0]
    groups = [stains[0][part], stains[0][~part]]
    between = sum(len(group) * (group.mean() - stains[0].mean()) ** 2 for group in groups)
    assert best.score == pytest.approx(between / ((stains[0] - stains[0].mean()) ** 2).sum())


@pytest.mark.parametrize("inverted", [False, True])
def test_finds_nuclei_on_either_side(inverted):
    nuclei = squares(20, 20, (80, 80)) > 0.5
    confidence = np.where(nuclei ^ inverted, 0.8, 0.3)[None]
    choice = rank_channels([confidence], [nuclei * 0.2])[0]
    assert choice.inverted == inverted
    assert choice.score == pytest.approx(1)
    np.testing.assert_array_equal(parts_of(choice, [confidence])[0], nuclei)


def test_nuclear_confidence_of_an_inverted_channel_is_its_complement():
    confidence = np.random.default_rng(0).random((2, 3, 4))
    turned = nuclear_confidence(confidence, Choice(1, True, 0.5, 1.0))
    np.testing.assert_allclose(turned, 1 - confidence[1])
    upright = nuclear_confidence(confidence, Choice(1, False, 0.5, 1.0))
    np.testing.assert_array_equal(upright, confidence[1])


@pytest.mark.parametrize("labelled", [False, True])
def test_nuclei_cover_at_most_half_of_the_pixels(labelled):
    """Though the channel parts a stain of seven tenths of the pixels without an error."""
    stain = np.arange(100).reshape(10, 10) < 70
    confidence = np.where(stain, np.linspace(0.5, 1, 100).reshape(10, 10), 0.1)[None]
    for choice in rank_channels([confidence], [stain], labelled=labelled):
        assert parts_of(choice, [confidence])[0].mean() <= 0.5
        assert choice.score < 0.9


def test_half_of_the_pixels_is_meant_of_all_images():
    """One crop full of nuclei is no reason to leave a channel out."""
    crowded, sparse = np.zeros((2, 10, 10))
    crowded[:, :8], sparse[:, :1] = 1, 1
    confidences = [0.2 + 0.6 * each[None] for each in (crowded, sparse)]
    assert rank_channels(confidences, [crowded, sparse])[0].score == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 0.37, 1.0])
def test_a_channel_that_is_the_same_everywhere_explains_nothing(value):
    stain = np.random.default_rng(0).random((10, 10))
    assert rank_channels([np.full((1, 10, 10), value)], [stain])[0].score == 0


def test_dice_of_no_nuclei_where_there_are_none_is_1():
    confidence = np.full((1, 10, 10), 0.3)
    best = rank_channels([confidence], [np.zeros((10, 10), bool)], labelled=True)[0]
    assert best.score == 1
    assert not parts_of(best, [confidence])[0].any()


def test_chooses_the_best_channel_whose_objects_are_as_large_as_nuclei():
    """Blocks of 50 µm follow the stain perfectly; those of 8 µm do so less, but are nuclei."""
    large = squares(200, 100, (600, 600))
    small = squares(32, 40, (600, 600))
    stain = large + 0.7 * small
    confidence, quarter = np.stack([large, small]), Mpp(0.25, 0.25)
    assert rank_channels([confidence], [stain])[0].channel == 0
    choice, is_nuclear_sized = choose_channel([confidence], [stain], [quarter])
    assert (choice.channel, choice.inverted, is_nuclear_sized) == (1, False, True)


def test_objects_as_large_as_nuclei_are_none_if_they_say_nothing_of_the_stain():
    large = squares(200, 100, (600, 600))
    elsewhere = np.roll(squares(32, 40, (600, 600)), (3, 5), (0, 1))
    confidence, stain = np.stack([large, elsewhere]), large
    choice, is_nuclear_sized = choose_channel([confidence], [stain], [Mpp(0.25, 0.25)])
    assert (choice.channel, is_nuclear_sized) == (0, False)


def test_chooses_the_best_of_all_if_no_channel_finds_objects_as_large_as_nuclei():
    large = squares(200, 100, (600, 600))
    stain = large + np.random.default_rng(0).normal(0, 0.01, large.shape)
    choice, is_nuclear_sized = choose_channel([large[None]], [stain], [Mpp(0.25, 0.25)])
    assert (choice.channel, is_nuclear_sized) == (0, False)
    assert choice == rank_channels([large[None]], [stain])[0]


def test_the_same_pixels_are_nuclei_at_another_resolution():
    large = squares(200, 100, (600, 600))
    _, is_nuclear_sized = choose_channel([large[None]], [large], [Mpp(0.04, 0.04)])
    assert is_nuclear_sized


def test_size_says_nothing_where_the_resolution_is_unknown():
    large, small = squares(200, 100, (600, 600)), squares(32, 40, (600, 600))
    confidence, stain = np.stack([large, small]), large + 0.3 * small
    choice, is_nuclear_sized = choose_channel([confidence], [stain], [None])
    assert (choice.channel, is_nuclear_sized) == (0, None)


def test_size_is_judged_by_the_images_whose_resolution_is_known():
    large, small = squares(200, 100, (300, 300))[None], squares(32, 40, (300, 300))[None]
    _, is_nuclear_sized = choose_channel(
        [large, small], [large[0], small[0]], [None, Mpp(0.25, 0.25)]
    )
    assert is_nuclear_sized


def test_an_images_threshold_parts_its_haematoxylin(drawn):
    confidences, stains = drawn
    own = [each[0] for each in confidences]
    threshold = stain_threshold(own, stains)
    parts = [each > threshold for each in own]
    score = np.mean([explained(*pair) for pair in zip(stains, parts, strict=True)])
    expected = best_by_trial(confidences, stains, 0, False, explained)
    assert score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_empty_glass_has_no_threshold(seed):
    """Noise of a camera, and confidences that do not follow it."""
    random = np.random.default_rng(seed)
    glass = haematoxylin(random.integers(238, 250, (60, 60, 3)).astype(np.uint8))
    assert stain_threshold([random.random((60, 60))], [glass]) is None


def test_glass_of_one_colour_has_no_threshold():
    glass = haematoxylin(np.full((20, 20, 3), 243, np.uint8))
    assert stain_threshold([np.random.default_rng(0).random((20, 20))], [glass]) is None


def test_confidences_that_go_against_the_stain_have_no_threshold():
    confidence = np.random.default_rng(0).random((40, 40))
    assert stain_threshold([confidence], [1 - confidence]) is None


def test_haematoxylin_is_what_an_image_was_stained_with():
    stains = np.random.default_rng(0).uniform(0, 0.06, (9, 9, 3))
    pixels = (hed2rgb(stains) * 255).round().astype(np.uint8)
    np.testing.assert_allclose(haematoxylin(pixels), stains[..., 0], atol=2e-3)
