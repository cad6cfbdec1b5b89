"""Whether a run may go on further than it was asked to: settings that grew, and what forbids it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wsikd.config import load_document
from wsikd.errors import CheckpointError, ResumeError
from wsikd.hashing import file_digest
from wsikd.runs.provenance import Provenance


class Growth(NamedTuple):
    """A setting that was raised."""

    name: str
    before: Any
    now: Any


def find_growth(
    before: Mapping[str, Any], now: Mapping[str, Any], may_grow: Collection[str]
) -> list[Growth]:
    """List which of the settings that may grow have grown; None is no limit, the largest.

    Examples
    --------
    >>> find_growth({"epochs": 100, "seed": 0}, {"epochs": 150, "seed": 1}, {"epochs"})
    [Growth(name='epochs', before=100, now=150)]
    >>> find_growth({"epochs": 100}, {"epochs": 50}, {"epochs"})
    []
    """
    pairs = (Growth(name, before.get(name), now.get(name)) for name in sorted(may_grow))
    return [
        pair
        for pair in pairs
        if pair.before is not None and (pair.now is None or pair.now > pair.before)
    ]


def refuse_extension(path: Path, grown: Growth, state: Path, models: Collection[Path]) -> None:
    """Refuse to go on with a run that others depend on as it is, or that cannot be taken up.

    Parameters
    ----------
    path : Path
        Folder of the run, among those of all runs.
    grown : Growth
        What was asked for.
    state : Path
        Folder of the training state.
    models : collection of Path
        Its models; older runs state by their digests alone what they started from.

    Raises
    ------
    ResumeError
        If another run started from it, or it is finished and its state is gone.
    CheckpointError
        If the record of another run is damaged.
    """
    must = f"{path}: {grown.name} must stay {grown.before}, as"
    rest = f"now asked for {grown.now}; name another run with --name"
    heir = _find_heir(path, models)
    if heir is not None:
        raise ResumeError(f"{must} {heir} was started from it, {rest}")
    is_finished = _read(path / "run.json").status == "complete"
    if is_finished and not any(file.name[0] != "." for file in state.glob("*")):
        raise ResumeError(f"{must} it is finished and {state} is gone, {rest}")


def _find_heir(path: Path, models: Collection[Path]) -> str | None:
    """Name a run that started from the one in this folder, or learnt from it."""
    digests = {file_digest(model) for model in models if model.exists()}
    for record in sorted(path.parent.glob("*/run.json")):
        if record.parent == path:
            continue
        made = _read(record)
        if path.name in made.sources.values() or not digests.isdisjoint(made.inputs.values()):
            return record.parent.name
    return None


def _read(record: Path) -> Provenance:
    remedy = f"remove {record.parent} and train it again"
    return load_document(record, Provenance, CheckpointError, remedy)
