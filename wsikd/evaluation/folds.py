"""The runs that can be evaluated: complete, all folds of one together as one."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from wsikd.cohort.splits import fold_count
from wsikd.errors import CheckpointError
from wsikd.evaluation.recorded import (
    check_older,
    check_recorded,
    find_lacking,
    notes_on_lacking,
    read_recorded,
)
from wsikd.runs import METHODS, Checkpoint, Provenance, RunFolder, find_runs, pooled_name

EvaluatedSplit = Literal["test", "val"]


@dataclass(frozen=True)
class PooledRun:
    """One run, or the folds of one run together.

    Attributes
    ----------
    name : str
        Without the fold.
    folders : tuple of RunFolder
        The folder of the run, or of each fold.
    made : tuple of Provenance
        What made each of them.
    folds : tuple of int
        The folds pooled; empty for a run without folds.
    predictions : DataFrame
        Of the evaluated split, labelled regions only; with the fold whose network answered.
    notes : tuple of str
        What a reader of its numbers should know.
    lacking : tuple of dict
        Of each fold, the slides that the manifest has today and the run lacks.
    """

    name: str
    folders: tuple[RunFolder, ...]
    made: tuple[Provenance, ...]
    folds: tuple[int, ...]
    predictions: pd.DataFrame
    notes: tuple[str, ...] = ()
    lacking: tuple[dict[str, set[str]], ...] = ()

    @property
    def provenance(self) -> Provenance:
        """What made the run, or its first fold."""
        return self.made[0]

    @property
    def is_control(self) -> bool:
        return self.provenance.kind.is_control

    @property
    def classes(self) -> tuple[str, ...]:
        return self.provenance.classes


def pool_runs(
    folder: Path, manifest: pd.DataFrame, *, checkpoint: Checkpoint, split: EvaluatedSplit
) -> tuple[list[PooledRun], dict[str, str]]:
    """Read the predictions of every run below `runs/` that can be evaluated.

    A run whose slides have another split, patient or label in the manifest now is left out: it may
    have been trained on what others are tested on.

    Returns
    -------
    runs : list of PooledRun
        Teachers, baselines, students, fine-tuned, controls; finer magnifications first.
    left_out : dict of str
        By the pooled name of a run, why it is left out.
    """
    groups: dict[str, list[RunFolder]] = defaultdict(list)
    for run in find_runs(folder):
        if is_of_the_main_job(run):
            groups[pooled_name(run.name)].append(run)
    known = _slides_of(run for members in groups.values() for run in members)
    pooled, left_out = [], {}
    for name, members in sorted(groups.items(), key=_controls_last):
        try:
            pooled.append(_pool(name, members, manifest, (checkpoint, split), known))
        except CheckpointError as error:
            left_out[name] = str(error)
    return sorted(pooled, key=_reading_order), left_out


def _controls_last(group: tuple[str, list[RunFolder]]) -> tuple[bool, str]:
    """Order what may be left out: who asks what is missing asks for a model."""
    name, members = group
    with suppress(CheckpointError):
        return members[0].read_provenance().kind.is_control, name
    return False, name


def _slides_of(runs: Iterable[RunFolder]) -> set[str]:
    """List the slides that runs recorded to have had."""
    slides = set[str]()
    for run in runs:
        with suppress(CheckpointError):  # a damaged one is left out by name
            recorded = read_recorded(run)
            slides |= set() if recorded is None else set(recorded["slide_id"])
    return slides


def is_of_the_main_job(run: RunFolder) -> bool:
    """Tell whether a run is evaluated here: encoders and segmenters are scored elsewhere."""
    try:
        return run.read_provenance().kind.is_evaluated
    except CheckpointError:  # a damaged run is left out by name, not passed over
        return True


def _pool(
    name: str,
    members: list[RunFolder],
    manifest: pd.DataFrame,
    asked: tuple[Checkpoint, EvaluatedSplit],
    known: Collection[str],
) -> PooledRun:
    checkpoint, split = asked
    made = [member.read_provenance() for member in members]
    _check_members(name, made, fold_count(manifest))
    kept: Checkpoint = "best" if made[0].kind.is_control else checkpoint
    tables = [member.read_predictions(kept) for member in members]
    notes, lacking = list[str](), list[dict[str, set[str]]]()
    for member, one, predicted in zip(members, made, tables, strict=True):
        recorded = read_recorded(member)
        check_recorded(one, recorded, predicted, manifest)
        notes += [*one.notes, *check_older(one, recorded, predicted, manifest, known)]
        lacking.append(find_lacking(one, recorded, predicted, manifest))
    table = pool_predictions(made, tables, split)
    _check_predictions(name, table, made[0].classes, split)
    folds = sorted(one.fold for one in made if one.fold is not None)
    noted = tuple(dict.fromkeys(notes))
    return PooledRun(name, tuple(members), tuple(made), tuple(folds), table, noted, tuple(lacking))


def pool_predictions(
    made: Iterable[Provenance], tables: Iterable[pd.DataFrame], split: EvaluatedSplit
) -> pd.DataFrame:
    """Join what the folds of a run predicted: labelled regions of a split, with the fold."""
    answered = [table.assign(fold=one.fold) for one, table in zip(made, tables, strict=True)]
    table = pd.concat(answered, ignore_index=True)
    return table[(table["split"] == split) & (table["label"] != "")]


def notes_on(pooled: list[PooledRun]) -> list[str]:
    """List what a reader should know of runs: what they say themselves, and what they lack."""
    said = [f"{run.name}: {note}" for run in pooled for note in run.notes]
    return [*said, *notes_on_lacking({run.name: run.lacking for run in pooled})]


def _check_members(name: str, made: list[Provenance], count: int | None) -> None:
    unfinished = [one.name for one in made if one.status != "complete"]
    if unfinished:
        raise CheckpointError(f"{unfinished[0]} is not complete; start its command again")
    folds = {one.fold for one in made}
    if None in folds and len(folds) > 1:
        raise CheckpointError(f"{name} exists with and without folds; remove one of the two")
    if None not in folds:
        missing = [fold for fold in range(count or 0) if fold not in folds]
        if missing or len(folds) != count:
            which = ", ".join(map(str, missing)) or "unknown, as the manifest has other folds now"
            raise CheckpointError(f"{name} lacks folds: {which}; train them to pool all folds")
    if len({one.classes for one in made}) > 1:
        raise CheckpointError(f"{name} has folds with different classes; train them again")


def _check_predictions(
    name: str, table: pd.DataFrame, classes: tuple[str, ...], split: EvaluatedSplit
) -> None:
    if table.empty:
        raise CheckpointError(f"{name} has no labelled region in its {split} split")
    unknown = sorted(set(table["label"]) - set(classes))
    if unknown:
        raise CheckpointError(
            f"{name} predicts for a region labelled {unknown[0]!r}, which is none of its classes"
        )


def _reading_order(run: PooledRun) -> tuple[Any, ...]:
    made = run.provenance
    return METHODS.index(made.method), -(made.magnification or 0), made.seed, run.name
