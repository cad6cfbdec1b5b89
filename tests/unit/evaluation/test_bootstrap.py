import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wsikd.evaluation.bootstrap import (
    interval,
    patient_matrices,
    resample_classes_evenly,
    resample_patients,
)
from wsikd.evaluation.metrics import score


def test_each_patient_has_its_own_confusion_matrix():
    index = pd.MultiIndex.from_tuples(
        [("p2", "s1"), ("p1", "s2"), ("p2", "s3")], names=["patient_id", "slide_id"]
    )
    decisions = pd.DataFrame({"truth": [0, 1, 0], "prediction": [1, 1, 0]}, index=index)
    assert patient_matrices(decisions, 2).tolist() == [[[0, 0], [0, 1]], [[1, 1], [0, 0]]]


def test_a_draw_is_the_sum_of_whole_patients():
    matrices = np.zeros((3, 2, 2), np.int64)
    matrices[:, 0, 0] = [1, 10, 100]
    drawn = resample_patients(matrices, draws=500, seed=0)[:, 0, 0]
    possible = {a + b + c for a in (1, 10, 100) for b in (1, 10, 100) for c in (1, 10, 100)}
    assert set(drawn) == possible


def test_runs_side_by_side_get_the_same_patients():
    matrices = np.random.default_rng(1).integers(0, 5, (6, 2, 2))
    drawn = resample_patients(np.stack([matrices, matrices], axis=1), draws=100, seed=3)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 0] == resample_patients(matrices, draws=100, seed=3)).all()


def test_independent_units_give_the_binomial_interval():
    right = 70
    matrices = np.zeros((100, 2, 2), np.int64)
    matrices[:right, 0, 0] = 1
    matrices[right:, 0, 1] = 1
    drawn = score(resample_patients(matrices, draws=10_000, seed=0))["plain_accuracy"]
    expected = stats.binom(100, 0.7).interval(0.95)
    assert np.multiply(interval(drawn), 100) == pytest.approx(expected, abs=1)


def test_regions_of_one_patient_do_not_narrow_the_interval():
    one_each = np.array([[[1, 0], [0, 0]], [[0, 1], [0, 0]]])
    drawn = [
        score(resample_patients(times * one_each, draws=1000, seed=0))["plain_accuracy"]
        for times in (1, 50)
    ]
    assert interval(drawn[0]) == interval(drawn[1])


def test_the_published_resampling_draws_each_class_as_often():
    confusion = np.array([[90, 10], [1, 4]])
    drawn = resample_classes_evenly(confusion, draws=4000, seed=0)
    assert (drawn.sum((1, 2)) == confusion.sum()).all()
    expected = confusion / confusion.sum(1, keepdims=True) / 2 * confusion.sum()
    assert drawn.mean(0) == pytest.approx(expected, rel=0.05)
