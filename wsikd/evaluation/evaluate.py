"""Predictions of all runs to `runs/metrics.json` and `runs/metrics.csv`.

`metrics.json`, format "wsikd-metrics", version 1: a mapping with

* settings: the resolved `EvaluateSettings`
* runs: list of {name, method, magnification, seed, folds, classes, units, cost}; units holds for
  region, slide and patient {count, patients, mixed_labels, metrics, confusion, reason}
* differences: list of {run, reference, unit, count, patients, metrics, reason}
* left_out: list of {name, reason}: runs that are not evaluated
* notes: list of sentences a reader of the numbers should know

An estimate is {value, low, high}; low and high are null where no interval exists, value as well
where two runs have nothing in common, and reason then says why.
Rows of a confusion matrix are true classes. Cost counts multiply-accumulates (MAC).
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from wsikd.cohort.splits import fold_count
from wsikd.config import Settings, load_document
from wsikd.errors import CheckpointError, NothingUsableError, StoreError
from wsikd.evaluation.aggregate import UNIT_KEYS, UNITS, Unit, aggregate, decide
from wsikd.evaluation.bootstrap import patient_matrices, resample_classes_evenly
from wsikd.evaluation.controls import ControlSettings, write_controls
from wsikd.evaluation.estimates import UNKNOWN, draw_scores, estimates, subtract
from wsikd.evaluation.folds import (
    EvaluatedSplit,
    PooledRun,
    find_pairs,
    find_reference,
    pool_runs,
)
from wsikd.evaluation.metrics import score
from wsikd.evaluation.tables import metrics_table
from wsikd.files import replacing, write_json
from wsikd.runs import Checkpoint, find_runs
from wsikd.store import RegionStore

_FLOPS_PER_MAC = 2  # a multiplication and an addition

Decisions = dict[Unit, pd.DataFrame]


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
    control: ControlSettings = ControlSettings()


class Metrics(Settings):
    """The shape of `metrics.json`."""

    format: Literal["wsikd-metrics"] = "wsikd-metrics"
    version: Literal[1] = 1
    settings: dict[str, Any]
    runs: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    left_out: list[dict[str, str]]
    notes: list[str]


def evaluate_runs(
    runs: Path,
    store: RegionStore | None,
    manifest: pd.DataFrame,
    settings: EvaluateSettings,
) -> dict[str, Any]:
    """Score every complete run below `runs/`, its controls beside it, and compare them.

    Runs of several folds are scored once, over the test regions of all folds together. Intervals
    are 95 % percentiles of a bootstrap of patients; compared runs share its draws.

    Parameters
    ----------
    runs : Path
        The folder of all runs.
    store : RegionStore or None
        Where the controls see the regions; without it they are not made, and a note says so.
    manifest : DataFrame
        Slides with labels, splits and folds.
    settings : EvaluateSettings
        How predictions become numbers.

    Returns
    -------
    dict
        What was written to `metrics.json`; the module's text describes it.

    Raises
    ------
    NothingUsableError
        If no model can be evaluated; the message says what the first one lacks.
    """
    notes = _make_controls(runs, store, manifest, settings.control)
    pooled, left_out = pool_runs(
        runs, manifest, checkpoint=settings.checkpoint, split=settings.split
    )
    if all(run.is_control for run in pooled):
        reason = next(iter(left_out.values()), "run wsikd teach first")
        raise NothingUsableError(f"{runs}: no run to evaluate; {reason}")
    decisions = {run.name: _decide(run) for run in pooled}
    metrics = {
        "format": "wsikd-metrics",
        "version": 1,
        "settings": settings.model_dump(mode="json"),
        "runs": [_describe(run, pooled, decisions[run.name], settings) for run in pooled],
        "differences": [
            {"run": run.name, "reference": reference.name, "unit": unit}
            | _compare(decisions[run.name][unit], decisions[reference.name][unit], run, settings)
            for run, reference in (find_pairs(pooled) if settings.compat is None else ())
            for unit in UNITS
        ],
        "left_out": [{"name": name, "reason": reason} for name, reason in left_out.items()],
        "notes": notes,
    }
    write_json(runs / "metrics.json", metrics)
    with replacing(runs / "metrics.csv") as temporary:
        metrics_table(metrics).to_csv(temporary, index=False)
    return metrics


def read_metrics(runs: Path) -> dict[str, Any]:
    """Read the `metrics.json` below `runs/`.

    Raises
    ------
    NothingUsableError
        If it is missing, damaged or of another format version.
    """
    try:
        return load_document(runs / "metrics.json", Metrics, NothingUsableError).model_dump()
    except NothingUsableError as error:
        raise NothingUsableError(f"{error}; run wsikd evaluate") from None


def _make_controls(
    runs: Path, store: RegionStore | None, manifest: pd.DataFrame, settings: ControlSettings
) -> list[str]:
    if store is None:
        return ["the controls were not made: there is no region store"]
    count = fold_count(manifest)
    folds = set()
    for run in find_runs(runs):
        with suppress(CheckpointError):  # said when the runs are read
            made = run.read_provenance()
            if made.kind.is_evaluated and not made.kind.is_control and made.status == "complete":
                folds.add(made.fold)
    folds &= {None} if count is None else set(range(count))
    try:
        write_controls(runs, store, manifest, sorted(folds, key=str), settings)
    except StoreError as error:  # numbers of the models do not wait for the controls
        return [f"the controls were not made: {error}"]
    return []


def _decide(run: PooledRun) -> Decisions:
    return {
        unit: decide(aggregate(run.predictions, run.classes, unit), run.classes) for unit in UNITS
    }


def _describe(
    run: PooledRun, pooled: list[PooledRun], decisions: Decisions, settings: EvaluateSettings
) -> dict[str, Any]:
    made = run.provenance
    teacher = find_reference(pooled, run, "teacher")
    return {
        "name": run.name,
        "method": made.method,
        "magnification": made.magnification,
        "seed": made.seed,
        "folds": list(run.folds),
        "classes": list(run.classes),
        "units": {unit: _summarise(run, decisions[unit], unit, settings) for unit in UNITS},
        "cost": _cost(run, teacher),
    }


def _summarise(
    run: PooledRun, decisions: pd.DataFrame, unit: Unit, settings: EvaluateSettings
) -> dict[str, Any]:
    matrices = patient_matrices(decisions, len(run.classes))
    confusion = matrices.sum(0)
    if settings.compat == "release":
        drawn = score(resample_classes_evenly(confusion, draws=settings.draws, seed=settings.seed))
        observed, reason = {name: values.mean() for name, values in drawn.items()}, None
    else:
        drawn, reason = draw_scores(matrices, draws=settings.draws, seed=settings.seed)
        observed = score(confusion)
    return {
        "count": len(decisions),
        "patients": len(matrices),
        "mixed_labels": len(run.predictions.drop_duplicates(UNIT_KEYS[unit])) - len(decisions),
        "metrics": estimates(observed, drawn),
        "confusion": confusion.tolist(),
        "reason": reason,
    }


def _compare(
    decisions: pd.DataFrame, reference: pd.DataFrame, run: PooledRun, settings: EvaluateSettings
) -> dict[str, Any]:
    common = decisions.index.intersection(reference.index)
    if common.empty:
        return {
            "count": 0,
            "patients": 0,
            "metrics": {**UNKNOWN},
            "reason": "the two runs predict for nothing in common",
        }
    sides = [patient_matrices(one.loc[common], len(run.classes)) for one in (decisions, reference)]
    matrices = np.stack(sides, axis=1)  # (patients, 2, K, K): drawn together, hence paired
    drawn, reason = draw_scores(matrices, draws=settings.draws, seed=settings.seed)
    observed = score(matrices.sum(0))
    return {
        "count": len(common),
        "patients": len(matrices),
        "metrics": estimates(subtract(observed), subtract(drawn)),
        "reason": reason,
    }


def _cost(run: PooledRun, teacher: PooledRun | None) -> dict[str, float | None]:
    per_region, per_slide = _gmacs(run)
    times_cheaper = _gmacs(teacher)[1] / per_slide if teacher and per_slide > 0 else None
    return {
        "gmacs_per_region": per_region,
        "gmacs_per_slide": per_slide,
        "gflops_per_region": per_region * _FLOPS_PER_MAC,
        "gflops_per_slide": per_slide * _FLOPS_PER_MAC,
        "times_cheaper_than_teacher": times_cheaper,
    }


def _gmacs(run: PooledRun) -> tuple[float, float]:
    gmacs = run.predictions["gmacs"].astype(float)
    by_slide = gmacs.groupby(run.predictions["slide_id"]).sum()
    return float(gmacs.mean()), float(by_slide.mean())
