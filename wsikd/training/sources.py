"""Finished runs that another starts from: a student's teacher, the student to fine-tune."""

import hashlib
from pathlib import Path

from wsikd.errors import CheckpointError, LeakageError
from wsikd.geometry import format_magnification
from wsikd.runs import RunFolder, find_runs, pooled_name, run_name
from wsikd.training.inputs import Inputs, MethodName
from wsikd.training.settings import TrainingSettings

_COMMANDS = {"teacher": "wsikd teach", "baseline": "wsikd teach", "student": "wsikd distil"}


def find_source(
    runs: Path,
    name: str | None,
    method: MethodName,
    *,
    magnification: float,
    settings: TrainingSettings,
) -> RunFolder:
    """Find the finished run to start from, of the same fold.

    Parameters
    ----------
    runs : Path
        Folder of all runs.
    name : str or None
        Name of the run, with or without its fold; None: the one of `method`, `magnification` and
        the same seed, or else seed 0.
    method : str
        What kind of run it is by default.
    magnification : float
        What it reads by default.
    settings : TrainingSettings
        Of the run to be made, for its fold and seed.

    Raises
    ------
    CheckpointError
        If there is none, or it is not finished; the message names the command that makes it.
    """
    command = _COMMANDS[method]
    if name is None:
        seeds = dict.fromkeys((settings.seed, 0))
        names = [run_name(method, magnification, settings.fold, seed) for seed in seeds]
    else:
        alike = [run for run in find_runs(runs) if pooled_name(run.name) == pooled_name(name)]
        same_fold = [run for run in alike if run.read_provenance().fold == settings.fold]
        names = [*(run.name for run in same_fold), name]
    present = [RunFolder(runs / each) for each in names if RunFolder(runs / each).exists()]
    if not present:
        raise CheckpointError(f"{runs / names[0]}: no such run; make it with `{command}`")
    if not present[0].is_complete():
        raise CheckpointError(f"{present[0].path}: is not finished; go on with `{command}`")
    return present[0]


def check_source(source: RunFolder, inputs: Inputs, fold: int | None) -> None:
    """Refuse a run that learnt from slides the new one is tested on, or knows other classes.

    Raises
    ------
    LeakageError
        If it is of another fold or was made with other splits.
    CheckpointError
        If its classes are others.
    """
    made = source.read_provenance()
    if made.fold != fold:
        raise LeakageError(f"{source.path}: is of fold {made.fold}, not {fold}; choose another")
    if made.classes != inputs.classes:
        raise CheckpointError(
            f"{source.path}: knows the classes {', '.join(made.classes)}, "
            f"the manifest has {', '.join(inputs.classes)}; make it again"
        )
    if made.inputs.get("splits") != inputs.fingerprints()["splits"]:
        raise LeakageError(
            f"{source.path}: was made with other slides or splits than the manifest has; "
            "remove it and make it again"
        )


def kind_of(source: RunFolder) -> str:
    """Say what kind of run it is, such as "a student at 2.5x"."""
    made = source.read_provenance()
    reads = "" if made.magnification is None else f" at {format_magnification(made.magnification)}"
    return f"a {made.method}{reads}"


def file_digest(path: Path) -> str:
    """Give the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
