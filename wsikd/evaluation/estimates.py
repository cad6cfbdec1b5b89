"""Estimates: a metric's value with its interval over bootstrap draws, or why it has none."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsikd.evaluation.bootstrap import interval, resample_patients
from wsikd.evaluation.documents import Estimate
from wsikd.evaluation.metrics import METRICS, Floats, score
from wsikd.evaluation.notes import Limits
from wsikd.evaluation.strata import find_strata, labels_of

UNKNOWN: Mapping[str, Estimate] = {
    name: Estimate(value=None, low=None, high=None) for name in METRICS
}
"""The estimates of what could not be compared."""

_UNDEFINED = "there is nothing in the test set to compute it from"
_SOMETIMES_UNDEFINED = "some drawn test sets have nothing to compute it from"


def draw_scores(matrices: NDArray[np.int64], *, draws: int, seed: int) -> dict[str, Floats]:
    """Score test sets drawn from the patients, as many of each stratum as there are.

    Parameters
    ----------
    matrices : ndarray of int, shape (patients, ..., K, K)
        Confusion matrices of each patient.
    draws, seed : int
        As for `resample_patients`.

    Returns
    -------
    dict of ndarray, shape (draws, ...)
        By metric; each a mean over all classes of the test set, as every draw has them all.
    """
    strata = find_strata(labels_of(matrices))
    return score(resample_patients(matrices, draws=draws, seed=seed, strata=strata))


def subtract(scores: Mapping[str, Floats]) -> dict[str, Floats]:
    """Subtract the second from the first of the two runs on the last axis, of every metric."""
    return {name: values[..., 0] - values[..., 1] for name, values in scores.items()}


def estimates(
    observed: Mapping[str, ArrayLike], drawn: Mapping[str, Floats], limits: Limits
) -> dict[str, Estimate]:
    """Put each value beside its interval, and beside these what a reader of them should know.

    Parameters
    ----------
    observed : mapping of str to float
        By metric; NaN where it is undefined.
    drawn : mapping of str to ndarray, shape (draws,)
        By metric. What is not drawn has no interval.
    limits : Limits
        What the patients cannot tell.

    Examples
    --------
    >>> estimates({"f1": 0.5}, {"f1": np.linspace(0, 1, 201)}, Limits(patients=9))
    {'f1': Estimate(value=0.5, low=0.025, high=0.975, note=None)}
    """
    return {
        name: _with_note(
            _estimate(float(np.asarray(value)), drawn.get(name), limits, name),
            limits.uncovered(name),
        )
        for name, value in observed.items()
    }


def _estimate(value: float, drawn: Floats | None, limits: Limits, name: str) -> Estimate:
    if np.isnan(value) or limits.patients == 0:
        return Estimate(value=None, low=None, high=None, note=_UNDEFINED)
    if limits.forbids(name):
        return Estimate(value=value, low=None, high=None, note=limits.reason)
    if drawn is None:
        return Estimate(value=value, low=None, high=None)
    if np.isnan(drawn).any():
        return Estimate(value=value, low=None, high=None, note=_SOMETIMES_UNDEFINED)
    low, high = interval(drawn)
    return Estimate(value=value, low=low, high=high, note=limits.beside(low, high))


def _with_note(estimate: Estimate, more: str | None) -> Estimate:
    """Add a note to an estimate that may have one."""
    if more is None or estimate.value is None:
        return estimate
    note = "; ".join(filter(None, (estimate.note, more)))
    return estimate.model_copy(update={"note": note})
