"""What stands beside a number: why it has no interval, or why its interval says little."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wsikd.evaluation.metrics import CLASS_MEANS
from wsikd.evaluation.strata import FEWEST_PATIENTS, Flags, find_strata

NO_WIDTH = (
    "at least 95 % of the drawn test sets give the same value, so the interval has no width and "
    "tells nothing of other patients"
)
_MEANS = {*CLASS_MEANS, "auroc"}


@dataclass(frozen=True)
class Limits:
    """What a test set's patients cannot tell.

    Attributes
    ----------
    patients : int
        In the test set.
    rare : dict of int
        By class of the test set that fewer than `FEWEST_PATIENTS` have, how many have it.
    hardly_drawn : int
        Patients in strata of fewer than `FEWEST_PATIENTS`, which drawn test sets hardly vary.
    absent : tuple of str
        Known classes that nothing in the test set is of.
    """

    patients: int
    rare: dict[str, int] = field(default_factory=dict)
    hardly_drawn: int = 0
    absent: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why some or all intervals are missing."""
        if self.patients < 2:
            return f"an interval needs at least 2 patients, got {self.patients}"
        if self.rare:
            rare = ", ".join(f"{name!r} has {count}" for name, count in self.rare.items())
            return (
                f"an interval needs at least {FEWEST_PATIENTS} patients of each class, and {rare}"
            )
        return None

    def forbids(self, metric: str) -> bool:
        """Tell whether this metric can have no interval."""
        return self.patients < 2 or (bool(self.rare) and metric in _MEANS)

    def uncovered(self, metric: str) -> str | None:
        """Return which classes a mean over classes does not cover."""
        if not self.absent or metric not in _MEANS:
            return None
        names = ", ".join(map(repr, self.absent))
        return f"nothing tested is of class {names}, which this mean does not cover"

    def beside(self, low: float, high: float) -> str | None:
        """Return what a reader of an interval with these ends should know."""
        if low == high:
            return NO_WIDTH
        if self.patients < FEWEST_PATIENTS:
            return f"{self.patients} patients are too few to trust an interval"
        if self.hardly_drawn:
            have, these = ("has", "this one") if self.hardly_drawn == 1 else ("have", "these")
            return (
                f"the interval may be too narrow: of {self.patients} patients, {self.hardly_drawn} "
                f"{have} labels that fewer than {FEWEST_PATIENTS} have, and drawn test sets hardly "
                f"vary {these}"
            )
        return None


def find_limits(labels: Flags, classes: Sequence[str], known: Collection[str] = ()) -> Limits:
    """Find what a test set cannot tell.

    Parameters
    ----------
    labels : ndarray of bool, shape (patients, K)
        Which classes each patient's units are of.
    classes : sequence of str
        Their names.
    known : collection of str
        Names of classes that the cohort has, beside those.
    """
    rare = {
        name: int(count)
        for name, count in zip(classes, labels.sum(0), strict=True)
        if 0 < count < FEWEST_PATIENTS
    }
    return Limits(
        len(labels),
        rare,
        int(are_hardly_drawn(labels).sum()),
        find_absent(labels, classes, known),
    )


def find_absent(
    labels: Flags, classes: Sequence[str], known: Collection[str] = ()
) -> tuple[str, ...]:
    """Find the classes that nothing in a test set is of; parameters as for `find_limits`."""
    tested = {name for name, count in zip(classes, labels.sum(0), strict=True) if count}
    return tuple(sorted({*classes, *known} - tested))


def are_hardly_drawn(labels: Flags) -> Flags:
    """Tell which patients are in strata of fewer than `FEWEST_PATIENTS`."""
    strata = find_strata(labels)
    return np.asarray((np.bincount(strata) < FEWEST_PATIENTS)[strata])


def absent_classes(tested: Mapping[str, Collection[str]], known: Collection[str]) -> Iterator[str]:
    """Yield a sentence on each class that is not scored, of all runs or of some.

    Parameters
    ----------
    tested : mapping of str to collection of str
        By run, the labels of what it predicted.
    known : collection of str
        The classes of the cohort and of the runs.

    Examples
    --------
    >>> list(absent_classes({"teacher-10x": {"a"}, "student-5x": {"a", "b"}}, {"a", "b", "c"}))[0]
    "no region of class 'b' is in what teacher-10x predicted; its numbers do not cover that class"
    """
    for name in sorted(known):
        lacking = [run for run, labels in tested.items() if name not in labels]
        if len(lacking) == len(tested):
            yield f"no region of class {name!r} is scored; no number covers it"
        elif lacking:
            runs, whose = ", ".join(lacking), "its" if len(lacking) == 1 else "their"
            yield (
                f"no region of class {name!r} is in what {runs} predicted; {whose} numbers do not "
                "cover that class"
            )


class Footnotes:
    """Notes beside numbers, each written once and marked by its number.

    Examples
    --------
    >>> notes = Footnotes()
    >>> [notes.mark(text) for text in ("few patients", None, "no width", "few patients")]
    ['[1]', '', '[2]', '[1]']
    >>> notes.lines
    ['[1] few patients', '[2] no width']
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str | None) -> str:
        """Return the mark of a note; nothing for none."""
        if text is None:
            return ""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"

    @property
    def lines(self) -> list[str]:
        """The notes as they stand below a table."""
        return [f"{self.mark(text)} {text}" for text in self.texts]
