"""Scores of a classifier from its confusion matrices, for any number of matrices at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

METRICS = ("accuracy", "f1", "precision", "recall", "plain_accuracy", "accuracy_as_released")
CLASS_MEANS = ("accuracy", "f1", "precision", "recall", "accuracy_as_released")
"""Those of `METRICS` that are means over classes."""

Floats = NDArray[np.float64]


def confusion_matrix(
    truth: ArrayLike, prediction: ArrayLike, class_count: int
) -> NDArray[np.int64]:
    """Count decisions: rows are the true class, columns the predicted one.

    Parameters
    ----------
    truth, prediction : array of int, shape (N,)
        Class indices.
    class_count : int
        Number of classes K.

    Returns
    -------
    ndarray of int, shape (K, K)

    Examples
    --------
    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    matrix = np.zeros((class_count, class_count), np.int64)
    np.add.at(matrix, (np.asarray(truth), np.asarray(prediction)), 1)
    return matrix


def score(confusion: ArrayLike, counted: ArrayLike | None = None) -> dict[str, Floats]:
    """Compute every metric of `METRICS` for each matrix of a stack.

    Accuracy, F1, precision and recall are one-vs-rest per class, then the mean over classes, as in
    paper 2 (section 3). A ratio without a denominator is 0. A class that is never true takes no
    part in the mean, whatever was predicted: nothing is known of how it is read. What is wrongly
    taken for it counts as missed by its own class.

    Parameters
    ----------
    confusion : array, shape (..., K, K)
        Rows are the true class, columns the predicted one.
    counted : array of bool, shape (..., K), optional
        Classes that the means are over; those that are true in the matrix if not stated.

    Returns
    -------
    dict of ndarray, shape (...)
        By metric. "recall" is the balanced accuracy, "plain_accuracy" the share of right decisions;
        "accuracy_as_released" has the published code's N / (N + FP + FN) per class, never below
        "accuracy", and is meant for comparison with published tables only.

    Examples
    --------
    >>> scores = score([[1, 1], [0, 2]])
    >>> scores["plain_accuracy"].item(), scores["recall"].item()
    (0.75, 0.75)
    """
    matrix = np.asarray(confusion, np.float64)
    counts = np.asarray(matrix.sum(-1) > 0 if counted is None else counted, bool)
    counts = np.broadcast_to(counts, matrix.shape[:-1])
    per_class = score_classes(matrix)
    scores = {name: mean_over(counts, per_class[name]) for name in CLASS_MEANS}
    right = np.trace(matrix, axis1=-2, axis2=-1)
    return scores | {"plain_accuracy": _ratio(right, matrix.sum((-2, -1)))}


def score_classes(confusion: ArrayLike) -> dict[str, Floats]:
    """Compute every metric of `CLASS_MEANS` for each class against the rest.

    Parameters
    ----------
    confusion : array, shape (..., K, K)
        Rows are the true class, columns the predicted one.

    Returns
    -------
    dict of ndarray, shape (..., K)
        By metric. A ratio without a denominator is 0.
    """
    matrix = np.asarray(confusion, np.float64)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)  # (..., K)
    missed, false = matrix.sum(-1) - right, matrix.sum(-2) - right
    wrong, every = missed + false, matrix.sum((-2, -1))[..., None]
    return {
        "accuracy": _ratio(every - wrong, every),
        "f1": _ratio(2 * right, 2 * right + wrong),
        "precision": _ratio(right, right + false),
        "recall": _ratio(right, right + missed),
        "accuracy_as_released": _ratio(every, every + wrong),
    }


def mean_over(counted: NDArray[np.bool_], values: Floats) -> Floats:
    """Compute the mean over the classes that count, on the last axis; 0 where none does."""
    return _ratio(np.where(counted, values, 0.0).sum(-1), counted.sum(-1))


def _ratio(part: Floats, whole: ArrayLike) -> Floats:
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    ratio: Floats = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
    return ratio
