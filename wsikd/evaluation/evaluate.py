"""Predictions of all runs to `runs/metrics.json` and `runs/metrics.csv`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from wsikd.cohort.splits import classes_of, cohort_digest
from wsikd.config import Settings, first_difference
from wsikd.errors import CheckpointError, ConfigError, NothingUsableError
from wsikd.evaluation.aggregate import UNIT_KEYS, UNITS, Unit, aggregate, decide
from wsikd.evaluation.documents import (
    Cost,
    Difference,
    EvaluatedRun,
    LeftOut,
    Metrics,
    UnitScores,
)
from wsikd.evaluation.epochs import note_on_epoch
from wsikd.evaluation.estimates import UNKNOWN
from wsikd.evaluation.folds import EvaluatedSplit, PooledRun, notes_on, pool_runs
from wsikd.evaluation.notes import absent_classes
from wsikd.evaluation.ordered import check_order
from wsikd.evaluation.references import References
from wsikd.evaluation.scores import Scoring, TestedUnits, compare_units, score_units
from wsikd.evaluation.tables import metrics_table
from wsikd.files import replacing, write_json
from wsikd.runs import Checkpoint, find_runs

_FLOPS_PER_MAC = 2  # a multiplication and an addition

Decisions = dict[Unit, TestedUnits]


class ControlSettings(Settings):
    """How the controls see a region."""

    bins: int = Field(8, ge=2, le=16, description="bins per colour channel of the joint histogram")


class EvaluateSettings(Settings):
    """How predictions become numbers."""

    draws: int = Field(10_000, ge=100, description="bootstrap draws of the test patients")
    seed: int = Field(0, ge=0, description="of the bootstrap's random numbers")
    checkpoint: Checkpoint = Field("best", description="best validation loss, or last epoch")
    split: EvaluatedSplit = Field("test", description="regions that are scored")
    compat: Literal["release"] | None = Field(
        None,
        description="'release' scores as the published code: classes drawn evenly, patients "
        "ignored, the mean over draws, accuracy as N / (N + FP + FN)",
    )
    ordered: tuple[str, ...] = Field(
        (), description="the classes in their order, such as grades: mistakes count by distance"
    )
    control: ControlSettings = ControlSettings()

    @property
    def scoring(self) -> Scoring:
        """How decisions are scored."""
        return Scoring(self.draws, self.seed, self.compat == "release", self.ordered)


def evaluate_runs(
    runs: Path,
    manifest: pd.DataFrame,
    settings: EvaluateSettings,
    *,
    notes: Sequence[str] = (),
) -> Metrics:
    """Score every complete run below `runs/`, controls among them, and compare them.

    Runs of several folds are scored once, over the test regions of all folds together. Intervals
    are 95 % percentiles of a bootstrap of patients; compared runs share its draws. The regions are
    not read: the controls are runs, too, which were made where the regions are.

    Parameters
    ----------
    runs : Path
        The folder of all runs.
    manifest : DataFrame
        Slides with labels, splits and folds.
    settings : EvaluateSettings
        How predictions become numbers.
    notes : sequence of str
        What else a reader of the numbers should know.

    Returns
    -------
    Metrics
        What was written to `metrics.json`, and as a table to `metrics.csv`.

    Raises
    ------
    NothingUsableError
        If no model can be evaluated; the message says what the first one lacks.
    """
    pooled, left_out = pool_runs(
        runs, manifest, checkpoint=settings.checkpoint, split=settings.split
    )
    if all(run.is_control for run in pooled):
        reason = next(iter(left_out.values()), "run wsikd teach first")
        raise NothingUsableError(f"{runs}: no run to evaluate; {reason}")
    if settings.ordered:
        for run in pooled:
            check_order(run.name, run.classes, settings.ordered)
    known = frozenset(classes_of(manifest)).union(*(run.classes for run in pooled))
    notes = [*notes, *notes_on(pooled), *_absent_classes(pooled, known)]
    notes += _other_controls(runs, settings.control)
    if not any(run.is_control for run in pooled):
        notes = [*notes, "no control stands beside the models; evaluate where the regions are"]
    references = References(runs, pooled)
    notes = [*notes, *references.notes, *_validated(settings)]
    decisions = {run.name: _decide(run, settings, known) for run in pooled}
    for run in pooled:
        slides = decisions[run.name]["slide"].decisions
        notes += note_on_epoch(run, slides, settings.checkpoint, settings.split)
    metrics = Metrics(
        settings=settings.model_dump(mode="json"),
        runs=tuple(
            _describe(run, references.teacher_of(run), decisions[run.name]) for run in pooled
        ),
        differences=tuple(_differences(references, decisions, settings)),
        left_out=tuple(LeftOut(name=name, reason=why) for name, why in left_out.items()),
        notes=tuple(notes),
        cohort=cohort_digest(manifest),
    )
    write_json(runs / "metrics.json", metrics.model_dump(mode="json"))
    with replacing(runs / "metrics.csv") as temporary:
        metrics_table(metrics).to_csv(temporary, index=False)
    return metrics


def _absent_classes(pooled: list[PooledRun], known: frozenset[str]) -> Iterator[str]:
    tested = {run.name: set(run.predictions["label"]) for run in pooled}
    return absent_classes(tested, known)


def _other_controls(runs: Path, settings: ControlSettings) -> Iterator[str]:
    """Yield which controls were made with other settings, on a machine that has no regions."""
    for run in find_runs(runs):
        with suppress(CheckpointError, ConfigError):  # a damaged run is left out by name
            other = run.read_provenance().kind.is_control and first_difference(
                run.read_settings(), settings.model_dump(mode="json")
            )
            if other:
                key, made, asked = other
                yield f"{run.name} was made with {key} {made}, not {asked}; its numbers are of that"


def _validated(settings: EvaluateSettings) -> Iterator[str]:
    """Yield what regions of validation have decided, if these are scored."""
    if settings.split == "val" and settings.checkpoint == "best":
        yield (
            "these are the validation regions, whose loss chose the epoch of every model; on "
            "patients that chose nothing it may do worse: --split test"
        )
    elif settings.split == "val":
        yield (
            "these are the validation regions; they did not choose the epoch, as the last one is "
            "scored, but where --patience ended a training they chose which is the last"
        )


def _differences(
    references: References, decisions: Mapping[str, Decisions], settings: EvaluateSettings
) -> Iterator[Difference]:
    if settings.compat is not None:  # which ignores the patients that a comparison draws
        return
    for run, reference in references.pairs():
        for unit in UNITS:
            one, other = decisions[run.name][unit], decisions[reference.name][unit]
            yield _compare(run.name, reference.name, unit, (one, other))


def _decide(run: PooledRun, settings: EvaluateSettings, known: frozenset[str]) -> Decisions:
    """Decide about the units of every kind, and tell which fold's network answered."""
    fold = run.predictions.drop_duplicates("patient_id").set_index("patient_id")["fold"]
    decided = {}
    for unit in UNITS:
        one = decide(aggregate(run.predictions, run.classes, unit), run.classes)
        patients = one.index.get_level_values("patient_id")
        one = one.assign(fold=fold.reindex(patients).to_numpy())
        decided[unit] = TestedUnits(one, run.classes, settings.scoring, known)
    return decided


def _describe(run: PooledRun, teacher: PooledRun | None, decisions: Decisions) -> EvaluatedRun:
    made = run.provenance
    return EvaluatedRun(
        name=run.name,
        method=made.method,
        magnification=made.magnification,
        seed=made.seed,
        folds=run.folds,
        classes=run.classes,
        units={unit: _summarise(run, decisions[unit], unit) for unit in UNITS},
        cost=_cost(run, teacher),
        teacher=None if teacher is None else teacher.name,
    )


def _summarise(run: PooledRun, tested: TestedUnits, unit: Unit) -> UnitScores:
    units = len(run.predictions.drop_duplicates(UNIT_KEYS[unit]))
    return score_units(tested, mixed_labels=units - len(tested.decisions))


def _compare(
    run: str, reference: str, unit: Unit, compared: tuple[TestedUnits, TestedUnits]
) -> Difference:
    first, second = compared
    common = first.decisions.index.intersection(second.decisions.index)
    difference = partial(Difference, run=run, reference=reference, unit=unit)
    if common.empty:
        nothing = "the two runs predict for nothing in common"
        return difference(count=0, patients=0, metrics={**UNKNOWN}, reason=nothing)
    metrics, limits = compare_units(first.among(common), second.among(common))
    return difference(
        count=len(common), patients=limits.patients, metrics=metrics, reason=limits.reason
    )


def _cost(run: PooledRun, teacher: PooledRun | None) -> Cost:
    per_region, per_slide = _gmacs(run)
    times_cheaper = _gmacs(teacher)[1] / per_slide if teacher and per_slide > 0 else None
    return Cost(
        gmacs_per_region=per_region,
        gmacs_per_slide=per_slide,
        gflops_per_region=per_region * _FLOPS_PER_MAC,
        gflops_per_slide=per_slide * _FLOPS_PER_MAC,
        times_cheaper_than_teacher=times_cheaper,
    )


def _gmacs(run: PooledRun) -> tuple[float, float]:
    gmacs = run.predictions["gmacs"].astype(float)
    by_slide = gmacs.groupby(run.predictions["slide_id"]).sum()
    return float(gmacs.mean()), float(by_slide.mean())
