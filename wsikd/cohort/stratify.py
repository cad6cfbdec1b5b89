"""Deal patients to splits or folds so that each class is spread in the same proportions."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

PatientLabels = Mapping[str, Collection[str]]


def deal_splits(labels: PatientLabels, fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """Assign every patient a split.

    Parameters
    ----------
    labels : mapping of patient to labels
        A patient with several labels counts for the one that the fewest patients have.
    fractions : mapping of split to float
        Their shares, at least 0, sum 1. A class with enough patients is in each that is not 0.
    seed : int
        Of the shuffling; the order of the mapping does not matter.

    Examples
    --------
    >>> dealt = deal_splits({f"p{k}": ["a"] for k in range(10)}, {"train": 0.8, "test": 0.2}, 0)
    >>> sorted(dealt.values()).count("test")
    2
    """
    shares = np.array(list(fractions.values()))
    taken = np.zeros(len(shares), dtype=np.int64)
    dealt: dict[str, str] = {}
    for patients in _strata(labels, seed):
        seats = _seats(len(patients), shares, taken)
        taken += seats
        names = (name for name, count in zip(fractions, seats, strict=True) for _ in range(count))
        dealt |= zip(patients, names, strict=True)
    return dealt


def deal_folds(labels: PatientLabels, folds: int, seed: int) -> dict[str, int]:
    """Assign every patient a fold from 0 to `folds` - 1; sizes of folds differ by 1 at most.

    Examples
    --------
    >>> sorted(deal_folds({"p1": ["a"], "p2": ["b"], "p3": ["a"]}, 3, seed=0).values())
    [0, 1, 2]
    """
    # dealing goes on where the class before stopped, so that the first folds are not the largest
    queue = [patient for patients in _strata(labels, seed) for patient in patients]
    return {patient: turn % folds for turn, patient in enumerate(queue)}


def _strata(labels: PatientLabels, seed: int) -> list[list[str]]:
    """Group the patients by their rarest label, each group shuffled."""
    patients_with = Counter(label for found in labels.values() for label in set(found))
    groups: dict[str, list[str]] = {label: [] for label in sorted(patients_with)}
    for patient in sorted(labels):
        groups[min(labels[patient], key=lambda label: (patients_with[label], label))].append(
            patient
        )
    generator = np.random.default_rng(seed)
    return [_shuffled(group, generator) for group in groups.values()]


def _shuffled(patients: Sequence[str], generator: np.random.Generator) -> list[str]:
    return [patients[place] for place in generator.permutation(len(patients))]


def _seats(count: int, shares: NDArray[np.float64], taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """Share `count` patients of one class out by largest remainder, one at least to each split.

    A tie goes to the split that is furthest behind over the classes dealt before, `taken`.
    """
    used = shares > 0
    seats = used.astype(np.int64) if count >= used.sum() else np.zeros_like(taken)
    while seats.sum() < count:
        missing = np.round(shares * count - seats, 9)
        behind = shares * (taken.sum() + count) - taken - seats
        seats[np.lexsort((behind, missing))[-1]] += 1
    return seats
