"""What `metrics.json` holds, and the estimates that every document of numbers is made of.

An estimate is {value, low, high, note}; low and high are null where no interval exists, value as
well where two runs have nothing in common or a metric is undefined, and the note or `reason` says
why. Rows of a confusion matrix are true classes. Costs count multiply-accumulates (MAC), each of
two FLOPs.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from wsikd.config import Settings, load_document
from wsikd.errors import NothingUsableError
from wsikd.evaluation.aggregate import Unit
from wsikd.runs import KINDS, Kind, Method


class Estimate(Settings):
    """A metric's value with the ends of its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None
    note: str | None = Field(None, description="what a reader of this number should know")

    @property
    def known(self) -> float:
        """The value, of a run that was scored."""
        assert self.value is not None
        return self.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None where there is no interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)


class ClassScores(Settings):
    """The scores of one class against the rest."""

    name: str
    count: int = Field(description="units of this class")
    patients: int = Field(description="patients who have such a unit")
    metrics: dict[str, Estimate]


class CalibrationBin(Settings):
    """Units whose most probable class has a probability between `low`, left out, and `high`."""

    low: float
    high: float
    count: int
    confidence: float = Field(description="mean probability of the most probable class")
    right: float = Field(description="share of units of this class")


class UnitScores(Settings):
    """The scores of one run on its regions, slides or patients."""

    count: int = Field(description="units that have one label")
    patients: int
    mixed_labels: int = Field(description="units whose parts have different labels; not scored")
    metrics: dict[str, Estimate]
    confusion: tuple[tuple[int, ...], ...] = Field(description="rows: true classes")
    reason: str | None = Field(description="why there is no interval, or not for all metrics")
    per_class: tuple[ClassScores, ...] = Field((), description="in the order of the classes")
    calibration: tuple[CalibrationBin, ...] = Field((), description="bins that hold a unit")


class Cost(Settings):
    """Computation of one run."""

    gmacs_per_region: float
    gmacs_per_slide: float
    gflops_per_region: float
    gflops_per_slide: float
    times_cheaper_than_teacher: float | None


class EvaluatedRun(Settings):
    """One run, or the folds of one run together."""

    name: str
    method: Method
    magnification: float | None
    seed: int
    folds: tuple[int, ...]
    classes: tuple[str, ...]
    units: dict[Unit, UnitScores]
    cost: Cost
    teacher: str | None = Field(None, description="run whose cost its own is held against")

    @property
    def kind(self) -> Kind:
        """What a run of this method can do."""
        return KINDS[self.method]


class Difference(Settings):
    """One run minus another, on what both predict."""

    run: str
    reference: str
    unit: Unit
    count: int
    patients: int
    metrics: dict[str, Estimate]
    reason: str | None


class LeftOut(Settings):
    """A run that is not evaluated."""

    name: str
    reason: str


class Metrics(Settings):
    """`metrics.json`."""

    format: Literal["wsikd-metrics"] = "wsikd-metrics"
    version: Literal[1] = 1
    settings: dict[str, Any] = Field(description="the resolved settings of evaluate")
    runs: tuple[EvaluatedRun, ...]
    differences: tuple[Difference, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...] = Field(description="what a reader of the numbers should know")
    cohort: str | None = Field(None, description="hash of the manifest's slides, splits and labels")

    @property
    def is_as_released(self) -> bool:
        """Whether the runs were scored as the published code does."""
        return self.settings.get("compat") == "release"

    @property
    def is_ordered(self) -> bool:
        """Whether the classes have an order."""
        return bool(self.settings.get("ordered"))


def read_metrics(runs: Path) -> Metrics:
    """Read the `metrics.json` below `runs/`.

    Raises
    ------
    NothingUsableError
        If it is missing, damaged or of another format version.
    """
    return load_document(runs / "metrics.json", Metrics, NothingUsableError, "run wsikd evaluate")
