"""What probabilities tell beyond decisions: AUROC, and how far confidence is from being right.

Both are computed for many test sets at once, each told by how often it has every patient. The
networks of different folds have scales of their own, so units are compared within their fold alone.

References
----------
.. [1] Hanley, McNeil. "The meaning and use of the area under a receiver operating characteristic
       (ROC) curve". Radiology 143, 1982.
.. [2] Guo, Pleiss, Sun, Weinberger. "On Calibration of Modern Neural Networks". ICML 2017.
       arXiv:1706.04599.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsikd.evaluation.documents import CalibrationBin
from wsikd.evaluation.metrics import Floats
from wsikd.runs import probability_columns

BINS = 15
_BLOCK = 500  # drawn test sets at a time: their running sums then stay in the processor's cache

Times = NDArray[np.float32] | Floats


@dataclass(frozen=True)
class Answers:
    """What a run answered for its units of one kind.

    Attributes
    ----------
    truth : ndarray of int, shape (units,)
        Class indices.
    probabilities : ndarray of float, shape (units, K)
    patients : ndarray of int, shape (units,)
        Which patient a unit is of, in the order of the sorted ids.
    folds : ndarray of int, shape (units,)
        Which fold's network answered.
    """

    truth: NDArray[np.intp]
    probabilities: Floats
    patients: NDArray[np.intp]
    folds: NDArray[np.intp]

    @classmethod
    def of(cls, decisions: pd.DataFrame, classes: Sequence[str]) -> "Answers":
        """Arrange the decisions of `wsikd.evaluation.aggregate.decide`."""
        ids = decisions.index.get_level_values("patient_id")
        return cls(
            decisions["truth"].to_numpy(np.intp),
            decisions[probability_columns(classes)].to_numpy(np.float64),
            pd.factorize(ids, sort=True)[0],
            pd.factorize(decisions["fold"].astype(str))[0],
        )

    def by_fold(self) -> Iterator["Answers"]:
        """Yield what each fold's network answered."""
        for fold in np.unique(self.folds):
            here = self.folds == fold
            yield Answers(
                self.truth[here], self.probabilities[here], self.patients[here], self.folds[here]
            )


def areas_under_curves(answers: Answers, times: Times) -> Floats:
    """Compute each class's area under the ROC curve, this class against the rest.

    It is the share of pairs, of a unit of the class and one of the rest, in which the unit of the
    class has the higher probability of it; equal ones count half [1]_. Pairs are of one fold, so
    with folds it is the mean over them, weighted by their pairs.

    Parameters
    ----------
    answers : Answers
        Of all units.
    times : ndarray, shape (draws, patients)
        How often each patient is in each test set; all 1 for the test set itself.

    Returns
    -------
    ndarray of float, shape (draws, K)
        NaN where a test set has no pair.

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> one_each, one_fold = np.arange(4), np.zeros(4, int)
    >>> answers = Answers(np.array([0, 0, 1, 1]), sure, one_each, one_fold)
    >>> areas_under_curves(answers, np.ones((1, 4))).tolist()
    [[0.75, 0.75]]
    """
    class_count = answers.probabilities.shape[1]
    areas = np.full((len(times), class_count), np.nan)
    folds = list(answers.by_fold())
    for start in range(0, len(times), _BLOCK):
        block = times[start : start + _BLOCK]
        for index in range(class_count):
            won, pairs = np.zeros((2, len(block)))
            for fold in folds:
                more_won, more_pairs = _count_pairs(fold, index, block)
                won, pairs = won + more_won, pairs + more_pairs
            into = areas[start : start + _BLOCK, index]
            np.divide(won, pairs, out=into, where=pairs > 0)
    return areas


def _count_pairs(answers: Answers, index: int, times: Times) -> tuple[Floats, Floats]:
    """Count the pairs of a unit of the class and one of the rest: those in order, and all."""
    scores, of_class = answers.probabilities[:, index], answers.truth == index
    rest = np.flatnonzero(~of_class)
    rest = rest[np.argsort(scores[rest], kind="stable")]
    own = scores[of_class]
    counts = np.zeros((len(times), len(rest) + 1), times.dtype)  # of the rest, from the lowest on
    np.cumsum(times[:, answers.patients[rest]], axis=1, out=counts[:, 1:])
    below = counts[:, np.searchsorted(scores[rest], own, "left")]
    not_above = counts[:, np.searchsorted(scores[rest], own, "right")]
    own_times = times[:, answers.patients[of_class]]  # (draws, units of the class)
    won = ((below + not_above) / 2 * own_times).sum(1, dtype=np.float64)
    return won, own_times.sum(1, dtype=np.float64) * counts[:, -1].astype(np.float64)


def calibration_errors(answers: Answers, times: Times) -> Floats:
    """Compute the expected calibration error, section 3 of [2]_.

    Units are put into 15 bins of equal width by the probability of their most probable class. The
    error is the mean over bins, weighted by their units, of the distance between that probability
    and the share of right decisions, both means over the bin. With folds it is the mean over them,
    weighted by their units.

    Parameters
    ----------
    answers : Answers
        Of all units.
    times : ndarray, shape (draws, patients)
        As for `areas_under_curves`.

    Returns
    -------
    ndarray of float, shape (draws,)

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.9, 0.1]])
    >>> answers = Answers(np.array([0, 1]), sure, np.arange(2), np.zeros(2, int))
    >>> calibration_errors(answers, np.ones((1, 2))).round(6).tolist()  # 90 % sure, half right
    [0.4]
    """
    gaps, units = np.zeros(len(times)), np.zeros(len(times))
    for fold in answers.by_fold():
        sums = np.zeros((times.shape[1], BINS + 1))  # by patient, of each bin; then the units
        confidence, is_right = _confidence(fold)
        np.add.at(sums, (fold.patients, _bin(confidence)), is_right - confidence)
        sums[:, BINS] = np.bincount(fold.patients, minlength=len(sums))
        drawn = times @ sums
        gaps += np.abs(drawn[:, :BINS]).sum(1)
        units += drawn[:, BINS]
    errors: Floats = np.divide(gaps, units, out=np.full(len(times), np.nan), where=units > 0)
    return errors


def calibration_bins(answers: Answers) -> tuple[CalibrationBin, ...]:
    """Compute the bins of the reliability plot, those that hold a unit, over all folds."""
    confidence, is_right = _confidence(answers)
    found = []
    for place in np.unique(bins := _bin(confidence)):
        here = bins == place
        found.append(
            CalibrationBin(
                low=place / BINS,
                high=(place + 1) / BINS,
                count=int(here.sum()),
                confidence=float(confidence[here].mean()),
                right=float(is_right[here].mean()),
            )
        )
    return tuple(found)


def _confidence(answers: Answers) -> tuple[Floats, Floats]:
    """Return the probability of the most probable class, and 1 where it is the true one."""
    is_right = answers.probabilities.argmax(1) == answers.truth
    return answers.probabilities.max(1), is_right.astype(np.float64)


def _bin(confidence: Floats) -> NDArray[np.intp]:
    """Return the bin of each probability; what is between two belongs to the lower one."""
    return np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
