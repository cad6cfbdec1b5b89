"""Finding runs by what people call them: with or without folder and fold, or by a pattern."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from wsikd.errors import CheckpointError
from wsikd.runs.folder import RunFolder
from wsikd.runs.names import pooled_name

_WILD = frozenset("*?[")


def find_runs(folder: Path) -> list[RunFolder]:
    """List the runs below `runs/`, by name."""
    return [RunFolder(path.parent) for path in sorted(folder.glob("*/run.json"))]


def is_pattern(name: str) -> bool:
    """Tell a pattern such as "pair-*" from a name.

    Examples
    --------
    >>> is_pattern("pair-*"), is_pattern("runs/teacher-10x")
    (True, False)
    """
    return not _WILD.isdisjoint(name)


def runs_called(runs: Path, name: str) -> list[RunFolder]:
    """List the runs that a name stands for.

    Parameters
    ----------
    runs : Path
        Folder of all runs.
    name : str
        Name of a run, which may have its folder before it; or that of a run without its fold, which
        stands for all folds; or a pattern of either.
    """
    called = Path(name).name
    known = find_runs(runs)
    exact = [run for run in known if run.name == called]
    return exact or [
        run
        for run in known
        if fnmatchcase(run.name, called) or fnmatchcase(pooled_name(run.name), called)
    ]


def find_run(runs: Path, name: str, remedy: str = "see the folder for their names") -> RunFolder:
    """Find the one run that a name stands for, finished or not.

    Raises
    ------
    CheckpointError
        If there is none, or the name stands for the runs of several folds.
    """
    called = runs_called(runs, name)
    if len(called) == 1:
        return called[0]
    if called:
        remedy = f"name one of {', '.join(run.name for run in called)}"
    raise CheckpointError(f"{runs / Path(name).name}: no such run; {remedy}")


def find_finished(runs: Path, names: Sequence[str], remedy: str) -> RunFolder:
    """Find the first run of these exact names, which must be finished.

    Raises
    ------
    CheckpointError
        If there is none, which `remedy` ends; or it is not finished.
    """
    wanted = [RunFolder(runs / Path(name).name) for name in names]
    present = [run for run in wanted if run.exists()]
    if not present:
        raise CheckpointError(f"{wanted[0].path}: no such run; {remedy}")
    if not present[0].is_complete():
        command = present[0].read_provenance().kind.command
        raise CheckpointError(f"{present[0].path}: is not finished; go on with `{command}`")
    return present[0]


def find_of_fold(runs: Path, name: str, fold: int | None, remedy: str) -> RunFolder:
    """Find the finished run of a name, given with or without its fold; that of `fold` first.

    Raises
    ------
    CheckpointError
        If the name is a path that leads to another folder of runs; there is none of this name,
        which `remedy` ends; or it is not finished.
    """
    _refuse_elsewhere(runs, name)
    pooled = pooled_name(Path(name).name)
    alike = [run for run in find_runs(runs) if pooled_name(run.name) == pooled]
    same_fold = [run.name for run in alike if run.read_provenance().fold == fold]
    return find_finished(runs, [*same_fold, name], remedy)


def _refuse_elsewhere(runs: Path, name: str) -> None:
    """Refuse a path out of the workspace: the run of the same name in it would be another one."""
    path = Path(name)
    places = (path.parent, runs.parent / path.parent)  # from here, or from the workspace
    if len(path.parts) > 1 and runs.resolve() not in [place.resolve() for place in places]:
        raise CheckpointError(f"{name}: must be a run in {runs}; copy its folder there and name it")
