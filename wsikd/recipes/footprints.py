"""What a command reads and leaves in the workspace, declared beside the command's settings."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsikd.cohort import read_manifest
from wsikd.errors import CheckpointError, WsikdError
from wsikd.runs import KINDS, Method, RunFolder, find_runs, runs_called
from wsikd.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a command reads and leaves.

    Files and folders that options name are read as well, in lists and mappings, too.

    Attributes
    ----------
    reads : tuple of str
        Patterns of files in the workspace.
    runs : tuple of str
        Options that name runs, which are read.
    default_kinds : tuple of str
        Kinds of the runs that are read where no option names one.
    tables : tuple of str
        Options that name a table of slides; the slides are read as well.
    writes : tuple of str
        Patterns of files in the workspace, beside the runs that the command makes.
    outputs : tuple of str
        Options that name what is written.
    """

    reads: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    default_kinds: tuple[Method, ...] = ()
    tables: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def files_read(
    footprint: Footprint, options: Mapping[str, Any], workspace: Workspace
) -> Iterator[Path]:
    """Yield the files that a command with these options reads, as they are now.

    Parameters
    ----------
    footprint : Footprint
        Of the command.
    options : mapping
        By name, as a recipe or `wsikd.yaml` states them.
    workspace : Workspace
        Where it is carried out. Paths in options are relative to the current folder.
    """
    for pattern in footprint.reads:
        yield from workspace.root.glob(pattern)
    named = [name for key in footprint.runs for name in _texts(_named(options, key))]
    read = [run for name in named for run in runs_called(workspace.runs, name)]
    for run in read if named else _runs_of(footprint.default_kinds, workspace):
        yield run.path / "run.json"
    for key in footprint.tables:
        for text in _texts(_named(options, key)):
            yield from _slides_of(Path(text))
    for name, value in options.items():
        if _plain(name) not in footprint.outputs:
            for text in _texts(value):
                yield from _files_of(Path(text))


def files_left(
    footprint: Footprint, command: str, options: Mapping[str, Any], workspace: Workspace
) -> Iterator[Path]:
    """Yield the files that a command has left: who removes one of these wants it made anew.

    Parameters
    ----------
    footprint, options, workspace
        As of `files_read`.
    command : str
        Its name; runs that are made by it count.
    """
    for pattern in footprint.writes:
        yield from workspace.root.glob(pattern)
    for key in footprint.outputs:
        for text in _texts(_named(options, key)):
            yield from _files_of(Path(text))
    made = [name for name, kind in KINDS.items() if kind.command == f"wsikd {command}"]
    for run in _runs_of(made, workspace):
        yield run.path / "run.json"


def _runs_of(kinds: Collection[Method], workspace: Workspace) -> Iterator[RunFolder]:
    for run in find_runs(workspace.runs) if kinds else ():
        with suppress(CheckpointError):  # damaged; whoever reads it says so
            if run.read_provenance().method in kinds:
                yield run


def _slides_of(table: Path) -> Iterator[Path]:
    with suppress(WsikdError):  # which the command itself says
        for path in read_manifest(table)["path"]:
            yield from _files_of(Path(path))


def _named(options: Mapping[str, Any], key: str) -> Any:
    """Return an option, however its name is spelt."""
    return next((value for name, value in options.items() if _plain(name) == key), None)


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in an option's value, in lists and mappings too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _files_of(path: Path) -> Iterator[Path]:
    try:
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            yield path
    except OSError:  # a text that cannot be a path, such as one that is too long
        return
