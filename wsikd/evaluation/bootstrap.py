"""Confidence intervals: test sets drawn again, patient by patient.

Regions and slides of one patient resemble each other, so the patient is what gets resampled, within
its stratum: see `wsikd.evaluation.strata`. A drawn test set is a sum of the patients' confusion
matrices, and 10,000 of them one product.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsikd.evaluation.metrics import Floats

ROUNDING = 1e-6
"""Sums of equal terms differ by less, also in 32 bits; a tenth of a per cent is what is shown."""

_BLOCK = 500  # draws at a time: whole numbers take twice the room of what is kept


def patient_matrices(decisions: pd.DataFrame, class_count: int) -> NDArray[np.int64]:
    """Count every patient's decisions.

    Parameters
    ----------
    decisions : DataFrame
        From `wsikd.evaluation.aggregate.decide`.
    class_count : int
        Number of classes K.

    Returns
    -------
    ndarray of int, shape (patients, K, K)
        Confusion matrices in the order of the sorted patient ids; rows are the true class.
    """
    codes, patients = pd.factorize(decisions.index.get_level_values("patient_id"), sort=True)
    matrices = np.zeros((len(patients), class_count, class_count), np.int64)
    np.add.at(matrices, (codes, decisions["truth"], decisions["prediction"]), 1)
    return matrices


def times_drawn(strata: NDArray[np.intp], *, draws: int, seed: int) -> NDArray[np.float32]:
    """Draw the patients of every stratum with replacement, as many as it has.

    Parameters
    ----------
    strata : ndarray of int, shape (patients,)
        The stratum of each patient, counted from 0.
    draws : int
        Number of test sets.
    seed : int
        Of the random numbers; the same for strata of the same sizes.

    Returns
    -------
    ndarray of float, shape (draws, patients)
        How often each patient is in each drawn test set.

    Examples
    --------
    >>> times_drawn(np.array([0, 1, 0]), draws=3, seed=0).sum(1).tolist()
    [3.0, 3.0, 3.0]
    >>> times_drawn(np.array([0, 1, 0]), draws=3, seed=0)[:, 1].tolist()  # alone in its stratum
    [1.0, 1.0, 1.0]
    """
    by_stratum = np.argsort(strata, kind="stable")
    sizes = tuple(np.bincount(strata).tolist())
    return _times_drawn(sizes, draws, seed)[:, np.argsort(by_stratum)]


def resample_patients(
    matrices: NDArray[np.int64] | Floats,
    *,
    draws: int,
    seed: int,
    strata: NDArray[np.intp] | None = None,
) -> Floats:
    """Draw test sets of as many patients, with replacement.

    Parameters
    ----------
    matrices : ndarray, shape (patients, ..., K, K) or (patients, ...)
        Confusion matrices of each patient, or other sums. Those of several runs side by side are
        resampled together, which makes their differences paired.
    draws, seed : int
        As for `times_drawn`.
    strata : ndarray of int, shape (patients,), optional
        The stratum of each patient; all are of one if not stated.

    Returns
    -------
    ndarray of float, shape (draws, ..., K, K) or (draws, ...)
    """
    count = len(matrices)
    if strata is None:
        strata = np.zeros(count, np.intp)
    times = times_drawn(strata, draws=draws, seed=seed)
    sums = times @ matrices.reshape(count, -1).astype(np.float32)
    return sums.astype(np.float64).reshape(draws, *matrices.shape[1:])


def resample_classes_evenly(confusion: NDArray[np.int64], *, draws: int, seed: int) -> Floats:
    """Draw test sets as paper 2's published code does: single units, every class as likely.

    The code draws units with weight 1 / size of their class, ignoring patients; that is a
    multinomial over the cells of the confusion matrix. It leaves the number of units open; here
    it is the test set's.

    Parameters
    ----------
    confusion : ndarray of int, shape (K, K)
        Rows are the true class.
    draws, seed : int
        As for `resample_patients`.

    Returns
    -------
    ndarray of float, shape (draws, K, K)
    """
    rows = confusion[confusion.sum(1) > 0]
    cells = np.zeros(confusion.shape)
    cells[confusion.sum(1) > 0] = rows / rows.sum(1, keepdims=True) / len(rows)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(int(confusion.sum()), cells.ravel(), size=draws)
    return drawn.astype(np.float64).reshape(draws, *confusion.shape)


def interval(values: Floats) -> tuple[float, float]:
    """Compute the 95 % percentile interval of a statistic over the draws.

    Ends that differ by rounding alone are made equal: equal terms that are added in another order
    have another last digit.

    Examples
    --------
    >>> interval(np.arange(1001.0))
    (25.0, 975.0)
    >>> interval(np.array([0.1 + 0.2, 0.3] * 9))  # the first is 0.30000000000000004
    (0.30000000000000004, 0.30000000000000004)
    """
    low, high = (float(end) for end in np.percentile(values, [2.5, 97.5]))
    return (low, high) if high - low > ROUNDING else (high, high)


@lru_cache(maxsize=1)  # every run of one test set asks for the same
def _times_drawn(sizes: tuple[int, ...], draws: int, seed: int) -> NDArray[np.float32]:
    """Draw patients that are in the order of their strata."""
    random, ends = np.random.default_rng(seed), np.cumsum(sizes)
    drawn = np.empty((draws, sum(sizes)), np.float32)  # exact up to 16.7 million, also in the sums
    for start in range(0, draws, _BLOCK):
        block = drawn[start : start + _BLOCK]
        for size, end in zip(sizes, ends, strict=True):
            even = np.full(size, 1 / size)
            block[:, end - size : end] = random.multinomial(size, even, size=len(block))
    return drawn
