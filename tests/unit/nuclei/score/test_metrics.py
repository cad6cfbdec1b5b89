import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from wsikd.nuclei.score.metrics import (
    NUCLEI_METRICS,
    aggregated_jaccard,
    dice,
    find_overlaps,
    object_scores,
    score_nuclei,
)

EMPTY = np.zeros((4, 4), np.int32)


def drawn(seed, side=12, nuclei=6):
    """Rectangles drawn over each other; some vanish, so that the numbers have gaps."""
    random = np.random.default_rng(seed)
    image = np.zeros((side, side), np.int32)
    for number in range(1, random.integers(0, nuclei + 1) + 1):
        y, x, height, width = random.integers(1, side // 2, 4)
        image[y - 1 : y + height, x - 1 : x + width] = 3 * number
    return image


def masks(image):
    return [image == number for number in np.unique(image) if number]


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def aji_by_algorithm_1(prediction, truth):
    """Kumar's steps on one mask per nucleus."""
    found, shared, union, used = masks(prediction), 0, 0, set()
    for nucleus in masks(truth):
        best = max(range(len(found)), key=lambda k: iou(nucleus, found[k]), default=None)
        if best is None or not (nucleus & found[best]).any():
            union += nucleus.sum()
            continue
        shared += (nucleus & found[best]).sum()
        union += (nucleus | found[best]).sum()
        used.add(best)
    union += sum(mask.sum() for k, mask in enumerate(found) if k not in used)
    return shared / union if union else 1.0


pairs = st.integers(0, 10_000).map(lambda seed: (drawn(2 * seed), drawn(2 * seed + 1)))


@settings(max_examples=10, deadline=None)  # scikit-learn is slow
@given(pairs)
def test_dice_is_the_f1_of_pixels(pair):
    prediction, truth = (image > 0 for image in pair)
    expected = f1_score(truth.ravel(), prediction.ravel(), zero_division=1.0)
    assert dice(prediction, truth) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_aji_is_that_of_the_published_steps(pair):
    prediction, truth = pair
    found = aggregated_jaccard(find_overlaps(prediction, truth))
    assert found == pytest.approx(aji_by_algorithm_1(prediction, truth))


def test_aji_by_hand_with_a_prediction_that_two_true_nuclei_take():
    truth = np.array([[1, 1, 0, 2, 2, 0, 3]])
    prediction = np.array([[1, 1, 1, 1, 1, 0, 0]])
    # 2 of 5 pixels for nucleus 1, again 2 of 5 for nucleus 2, and nucleus 3 is missed
    assert aggregated_jaccard(find_overlaps(prediction, truth)) == (2 + 2) / (5 + 5 + 1)


def test_aji_counts_predictions_that_no_one_took():
    truth = np.array([[1, 1, 1, 0, 0]])
    prediction = np.array([[1, 1, 2, 0, 3]])
    assert aggregated_jaccard(find_overlaps(prediction, truth)) == 2 / (3 + 1 + 1)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_objects_are_those_of_every_pair_of_masks(pair):
    prediction, truth = (masks(image) for image in pair)
    ious = [iou(one, other) for one in prediction for other in truth]
    right = [value for value in ious if value > 0.5]
    scores = object_scores(find_overlaps(*pair))
    if not prediction and not truth:
        assert set(scores.values()) == {1.0}
        return
    assert scores["precision"] == pytest.approx(len(right) / max(len(prediction), 1))
    assert scores["recall"] == pytest.approx(len(right) / max(len(truth), 1))
    missed, false = len(truth) - len(right), len(prediction) - len(right)
    total = len(right) + missed / 2 + false / 2
    assert scores["f1"] == pytest.approx(len(right) / total)
    assert scores["pq"] == pytest.approx(sum(right) / total)


def test_a_nucleus_parted_in_equal_halves_is_not_found():
    truth, prediction = np.array([[1, 1]]), np.array([[1, 2]])
    assert object_scores(find_overlaps(prediction, truth))["f1"] == 0.0


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_the_areas_are_the_pixels_of_each_number(pair):
    overlaps = find_overlaps(*pair)
    for areas, image in zip((overlaps.prediction_areas, overlaps.truth_areas), pair, strict=True):
        assert areas.tolist() == [mask.sum() for mask in masks(image)]


def test_what_is_right_scores_1_and_so_does_nothing_where_nothing_is():
    image = drawn(7)
    assert set(score_nuclei(image > 0, image, image).values()) == {1.0}
    assert score_nuclei(EMPTY > 0, EMPTY, EMPTY) == dict.fromkeys(NUCLEI_METRICS, 1.0)


def test_nuclei_where_none_are_and_none_where_some_are_score_0():
    image = np.ones_like(EMPTY)
    assert score_nuclei(EMPTY > 0, EMPTY, image) == dict.fromkeys(NUCLEI_METRICS, 0.0)
    assert score_nuclei(image > 0, image, EMPTY) == dict.fromkeys(NUCLEI_METRICS, 0.0)


def test_dice_is_of_the_mask_and_not_of_the_parted_nuclei():
    mask = np.array([[True, True]])
    assert score_nuclei(mask, np.array([[1, 0]]), np.array([[1, 1]]))["dice"] == 1.0
