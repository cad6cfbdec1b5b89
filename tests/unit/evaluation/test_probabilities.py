import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from wsikd.evaluation.bootstrap import times_drawn
from wsikd.evaluation.probabilities import (
    Answers,
    areas_under_curves,
    calibration_bins,
    calibration_errors,
)


def drawn_answers(seed, *, units=40, classes=3, patients=12, folds=1, steps=8):
    """Answers in steps, so that many are equal; patients are of one fold, units of any class."""
    random = np.random.default_rng(seed)
    patient = np.arange(units) % patients
    truth = np.arange(units) % classes
    random.shuffle(truth)
    probabilities = random.integers(1, steps, (units, classes)).astype(float)
    probabilities[np.arange(units), truth] += random.integers(0, 4, units)
    probabilities /= probabilities.sum(1, keepdims=True)
    return Answers(truth, probabilities, patient, patient % folds)


def every(answers):
    return np.ones((1, answers.patients.max() + 1))


seeds = st.integers(0, 10_000)


@given(seeds)
def test_the_area_is_scikit_learns(seed):
    answers = drawn_answers(seed)
    (found,) = areas_under_curves(answers, every(answers))
    expected = [
        roc_auc_score(answers.truth == index, answers.probabilities[:, index]) for index in range(3)
    ]
    assert found == pytest.approx(expected)
    one_vs_rest = roc_auc_score(
        answers.truth, answers.probabilities, multi_class="ovr", average="macro"
    )
    assert found.mean() == pytest.approx(one_vs_rest)


@given(seeds)
def test_the_area_of_a_drawn_test_set_is_that_of_units_repeated_as_often(seed):
    answers = drawn_answers(seed)
    times = times_drawn(np.zeros(12, int), draws=5, seed=seed)
    for found, drawn in zip(areas_under_curves(answers, times), times, strict=True):
        weights = drawn[answers.patients]
        for index in range(3):
            is_class = answers.truth == index
            if weights[is_class].any() and weights[~is_class].any():
                expected = roc_auc_score(
                    is_class, answers.probabilities[:, index], sample_weight=weights
                )
                assert found[index] == pytest.approx(expected)
            else:
                assert np.isnan(found[index])


def test_draws_beyond_the_first_block_are_computed_alike():
    answers = drawn_answers(3)
    times = times_drawn(np.zeros(12, int), draws=1203, seed=0)
    found = areas_under_curves(answers, times)
    assert found[1200:] == pytest.approx(areas_under_curves(answers, times[1200:]), nan_ok=True)


def test_units_of_different_folds_are_not_compared():
    # each fold's network orders its own two units rightly, on a scale of its own
    first = np.array([0.9, 0.8, 0.2, 0.1])
    probabilities = np.stack([first, 1 - first], axis=1)
    truth, folds = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    one_network = Answers(truth, probabilities, np.arange(4), np.zeros(4, int))
    two_networks = Answers(truth, probabilities, np.arange(4), folds)
    assert areas_under_curves(one_network, np.ones((1, 4)))[0].tolist() == [0.75, 0.75]
    assert areas_under_curves(two_networks, np.ones((1, 4)))[0].tolist() == [1.0, 1.0]


@given(seeds)
def test_folds_are_averaged_by_their_pairs(seed):
    answers = drawn_answers(seed, folds=2)
    areas, pairs = [], []
    for fold in (0, 1):
        here = answers.folds == fold
        is_class = answers.truth[here] == 1
        areas.append(roc_auc_score(is_class, answers.probabilities[here, 1]))
        pairs.append(is_class.sum() * (~is_class).sum())
    (found,) = areas_under_curves(answers, every(answers))
    assert found[1] == pytest.approx(np.average(areas, weights=pairs))


def test_a_class_that_all_units_are_of_has_no_area():
    answers = Answers(np.zeros(3, int), np.full((3, 2), 0.5), np.arange(3), np.zeros(3, int))
    assert np.isnan(areas_under_curves(answers, np.ones((1, 3)))).all()


@given(seeds, st.integers(1, 2))
def test_the_calibration_error_is_the_sum_written_out_bin_by_bin(seed, folds):
    answers = drawn_answers(seed, folds=folds)
    times = times_drawn(np.zeros(12, int), draws=3, seed=seed)
    for found, drawn in zip(calibration_errors(answers, times), times, strict=True):
        weights, error = drawn[answers.patients], 0.0
        sure = answers.probabilities.max(1)
        right = answers.probabilities.argmax(1) == answers.truth
        for fold in range(folds):
            for step in range(15):
                here = (step / 15 < sure) & (sure <= (step + 1) / 15) & (answers.folds == fold)
                if weights[here].any():
                    gap = np.average(right[here] - sure[here], weights=weights[here])
                    error += weights[here].sum() / weights.sum() * abs(gap)
        assert found == pytest.approx(error)


def test_what_is_as_sure_as_it_is_right_has_no_calibration_error():
    # 3 of 4 right at 75 %
    probabilities = np.tile([0.75, 0.25], (4, 1))
    answers = Answers(np.array([0, 0, 0, 1]), probabilities, np.arange(4), np.zeros(4, int))
    assert calibration_errors(answers, np.ones((1, 4))) == pytest.approx([0.0])


def test_the_bins_of_the_plot_are_those_of_scikit_learn():
    answers = drawn_answers(7, units=200, patients=50)
    sure = answers.probabilities.max(1)
    right = answers.probabilities.argmax(1) == answers.truth
    share, confidence = calibration_curve(right, sure, n_bins=15)
    bins = calibration_bins(answers)
    assert [one.right for one in bins] == pytest.approx(share)
    assert [one.confidence for one in bins] == pytest.approx(confidence)
    assert sum(one.count for one in bins) == 200
    assert all(one.low < one.confidence <= one.high + 1e-12 for one in bins)
