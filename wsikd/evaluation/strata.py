"""Strata of the bootstrap: patients that may stand for each other in a drawn test set.

Patients with the same set of labels are a stratum, and every drawn test set has as many of each
stratum as the real one; so every class of the test set is in every draw. Where patients have
several labels, many sets may be had by one patient or two, which would be in every draw and look
certain. Such a set is joined with the one most like it while each class remains a label that all
patients of some stratum have. Where every patient has one label nothing is ever joined.
"""

import numpy as np
from numpy.typing import NDArray

FEWEST_PATIENTS = 5
"""How many patients must have a class, or be in a stratum, for their differences to be seen."""

Flags = NDArray[np.bool_]


def labels_of(matrices: NDArray[np.int64]) -> Flags:
    """Tell which classes each patient's units are of.

    Parameters
    ----------
    matrices : ndarray of int, shape (patients, ..., K, K)
        Confusion matrices; those of several runs are of the same units.

    Returns
    -------
    ndarray of bool, shape (patients, K)
    """
    has_units = matrices.sum(-1) > 0  # (patients, ..., K)
    return np.asarray(has_units.any(axis=tuple(range(1, has_units.ndim - 1))))


def find_strata(labels: Flags) -> NDArray[np.intp]:
    """Return the stratum of each patient, counted from 0.

    Parameters
    ----------
    labels : ndarray of bool, shape (patients, K)
        Which classes each patient's units are of.

    Examples
    --------
    >>> find_strata(np.array([[1, 0], [0, 1], [1, 0]], bool)).tolist()
    [1, 0, 1]
    >>> both, one = [[1, 1]], [[1, 0]] * 5 + [[0, 1]] * 5
    >>> find_strata(np.array(both + one, bool)).tolist()  # the one with both joins the second class
    [0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    """
    common, strata, sizes = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    strata = strata.ravel()
    while (pair := _find_pair(common, sizes)) is not None:
        small, other = pair
        strata[strata == small] = other
        common[other] &= common[small]
        common[small] = False
        sizes[other] += sizes[small]
        sizes[small] = 0
    return np.unique(strata, return_inverse=True)[1]


def _find_pair(common: Flags, sizes: NDArray[np.intp]) -> tuple[int, int] | None:
    """Return the smallest stratum that is too small and can be joined, and the one to join it to.

    Parameters
    ----------
    common : ndarray of bool, shape (strata, K)
        Labels that all patients of a stratum have.
    sizes : ndarray of int, shape (strata,)
        Patients of each; 0 for what was joined.
    """
    holders = common.sum(0)  # strata whose patients all have a label
    for small in np.argsort(sizes, kind="stable"):
        if not 0 < sizes[small] < FEWEST_PATIENTS:
            continue
        shared, either = common & common[small], common | common[small]
        lost = ((either & ~shared) & (holders == 1)).any(1)
        possible = shared.any(1) & ~lost
        possible[small] = False
        if possible.any():
            likeness = shared.sum(1) / np.maximum(either.sum(1), 1)
            return int(small), int(np.where(possible, likeness, -1.0).argmax())
    return None
