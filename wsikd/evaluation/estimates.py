"""Estimates: a metric's value with its interval over bootstrap draws, or why it has none."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsikd.evaluation.bootstrap import interval, resample_patients
from wsikd.evaluation.documents import Estimate
from wsikd.evaluation.metrics import METRICS, Floats, score

UNKNOWN: Mapping[str, Estimate] = {
    name: Estimate(value=None, low=None, high=None) for name in METRICS
}
"""The estimates of what could not be compared."""


def draw_scores(
    matrices: NDArray[np.int64], *, draws: int, seed: int
) -> tuple[dict[str, Floats], str | None]:
    """Score test sets drawn from the patients.

    Parameters
    ----------
    matrices : ndarray of int, shape (patients, ..., K, K)
        Confusion matrices of each patient.
    draws, seed : int
        As for `resample_patients`.

    Returns
    -------
    scores : dict of ndarray, shape (draws, ...)
        By metric; empty where no interval exists.
    reason : str or None
        Why no interval exists.
    """
    if len(matrices) < 2:
        return {}, f"an interval needs at least 2 patients, got {len(matrices)}"
    return score(resample_patients(matrices, draws=draws, seed=seed)), None


def subtract(scores: Mapping[str, Floats]) -> dict[str, Floats]:
    """Subtract the second from the first of the two runs on the last axis, of every metric."""
    return {name: values[..., 0] - values[..., 1] for name, values in scores.items()}


def estimates(
    observed: Mapping[str, ArrayLike], drawn: Mapping[str, Floats]
) -> dict[str, Estimate]:
    """Put each value beside its interval; without draws of it, low and high are None.

    Examples
    --------
    >>> estimates({"f1": 0.5}, {"f1": np.array([0.4, 0.4])})
    {'f1': Estimate(value=0.5, low=0.4, high=0.4)}
    """
    found: dict[str, Estimate] = {}
    for name, value in observed.items():
        low, high = interval(drawn[name]) if name in drawn else (None, None)
        found[name] = Estimate(value=float(np.asarray(value)), low=low, high=high)
    return found
