import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as sklearn_confusion

from wsikd.evaluation.metrics import METRICS, confusion_matrix, score

CLASSES = 4
decisions = arrays(np.int64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 3))


@given(decisions)
def test_the_confusion_matrix_is_scikit_learns(pairs):
    truth, prediction = pairs.T
    expected = sklearn_confusion(truth, prediction, labels=range(CLASSES))
    assert (confusion_matrix(truth, prediction, CLASSES) == expected).all()


@given(decisions)
def test_precision_recall_and_f1_are_scikit_learns_macro_means(pairs):
    truth, prediction = pairs.T
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, prediction, average="macro", zero_division=0
    )
    scores = score(confusion_matrix(truth, prediction, CLASSES))
    assert scores["precision"] == pytest.approx(precision)
    assert scores["recall"] == pytest.approx(recall)
    assert scores["f1"] == pytest.approx(f1)


@given(decisions)
def test_accuracy_is_the_mean_of_one_against_the_rest(pairs):
    truth, prediction = pairs.T
    present = np.union1d(truth, prediction)
    expected = np.mean([accuracy_score(truth == k, prediction == k) for k in present])
    scores = score(confusion_matrix(truth, prediction, CLASSES))
    assert scores["accuracy"] == pytest.approx(expected)
    assert scores["plain_accuracy"] == pytest.approx(accuracy_score(truth, prediction))


def test_accuracy_as_released_takes_n_minus_tp_for_the_true_negatives():
    # class 0: TP 5, FP 2, FN 1; class 1: TP 2, FP 1, FN 2; N = 10, "TN" = N - TP
    def released(tp, fp, fn):
        tn = 10 - tp
        return (tp + tn) / (tp + tn + fp + fn)

    expected = (released(5, 2, 1) + released(2, 1, 2)) / 2
    assert score([[5, 1], [2, 2]])["accuracy_as_released"] == pytest.approx(expected)


def test_a_stack_is_scored_matrix_by_matrix():
    stack = np.random.default_rng(0).integers(0, 9, (5, 2, 3, 3))
    scores = score(stack)
    for name in METRICS:
        assert scores[name].shape == (5, 2)
        assert scores[name][4, 1] == score(stack[4, 1])[name]
