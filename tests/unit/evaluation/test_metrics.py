import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as sklearn_confusion

from wsikd.evaluation.metrics import METRICS, confusion_matrix, score, score_classes

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
        truth, prediction, labels=np.unique(truth), average="macro", zero_division=0
    )
    scores = score(confusion_matrix(truth, prediction, CLASSES))
    assert scores["precision"] == pytest.approx(precision)
    assert scores["recall"] == pytest.approx(recall)
    assert scores["f1"] == pytest.approx(f1)


@given(decisions)
def test_accuracy_is_the_mean_of_one_against_the_rest(pairs):
    truth, prediction = pairs.T
    classes = np.unique(truth)
    expected = np.mean([accuracy_score(truth == k, prediction == k) for k in classes])
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


def test_a_wrong_call_of_a_class_that_nothing_is_of_never_raises_a_score():
    # rows: true a and b; of 5 a, one is taken for b, or for c, which nothing is of
    taken_for_b = score([[4, 1, 0], [0, 5, 0], [0, 0, 0]])
    taken_for_c = score([[4, 0, 1], [0, 5, 0], [0, 0, 0]])
    for name in METRICS:
        everything_right = score(np.diag([5, 5, 0]))[name]
        assert taken_for_c[name] <= everything_right
    # one-vs-rest by hand: a 9 of 10; b 10 of 10, as no b was missed or called
    assert taken_for_c["accuracy"] == pytest.approx((9 / 10 + 10 / 10) / 2)
    assert taken_for_b["accuracy"] == pytest.approx((9 / 10 + 9 / 10) / 2)


def test_classes_that_count_can_be_those_of_another_test_set():
    # the second class is in the test set and not in this draw, where its recall and F1 are 0
    drawn = score([[4, 0], [0, 0]], [True, True])
    assert drawn["recall"] == 0.5
    assert drawn["f1"] == 0.5


@given(decisions)
def test_the_scores_of_each_class_are_scikit_learns(pairs):
    truth, prediction = pairs.T
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, prediction, labels=range(CLASSES), zero_division=0
    )
    scores = score_classes(confusion_matrix(truth, prediction, CLASSES))
    assert scores["precision"] == pytest.approx(precision)
    assert scores["recall"] == pytest.approx(recall)
    assert scores["f1"] == pytest.approx(f1)
