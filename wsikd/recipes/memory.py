"""What was done of a recipe, so that it is skipped next time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from wsikd.config import Settings, stated_options
from wsikd.files import write_json
from wsikd.hashing import file_digest, text_digest
from wsikd.recipes.footprints import Footprint, files_left, files_read
from wsikd.recipes.steps import Step
from wsikd.workspace import Workspace

_WHOLE_FILE = 2**20  # smaller files are compared byte by byte, larger ones by size and time
_FEW_FILES = 1000  # of more than these all are compared by size and time


class _Done(Settings):
    """A step that was carried out."""

    settings: str = Field(description="digest of what wsikd.yaml says of the command")
    inputs: dict[str, str] = Field(description="file to its state, of all that was read")
    marks: tuple[str, ...] = Field(description="files that it left")


class _Steps(Settings):
    """`runs/recipe-<name>.json`: by the digest of a step and of all before it, what was done."""

    steps: dict[str, _Done] = Field(default_factory=dict)


class Memory:
    """Remembers what was done: by the digest of a step and of those before it.

    A step is done if what it read is as it was when it ended, nothing that it left is gone, and
    nothing new is there to be read that no other step of the recipe has left.

    Parameters
    ----------
    workspace : Workspace
        Where the recipe is carried out.
    name : str
        Of the recipe.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace, self._path = workspace, workspace.runs / f"recipe-{name}.json"
        self._done = _read(self._path)

    def holds(self, history: str, step: Step, footprint: Footprint) -> bool:
        """Tell whether a step is done: it would read the same again, and what it left is there."""
        done = self._done.get(history)
        if done is None or done.settings != text_digest(repr(self._settings(step))):
            return False
        now = self._inputs(step, footprint)
        if any(now.get(file) != state for file, state in done.inputs.items()):
            return False
        by_others = {
            str(Path(mark).parent)
            for other, one in self._done.items()
            if other != history
            for mark in one.marks
        }
        new = now.keys() - done.inputs.keys()
        if any(str(Path(file).parent) not in by_others for file in new):
            return False
        return all((self._workspace.root / mark).exists() for mark in done.marks)

    def keep(self, history: str, step: Step, footprint: Footprint) -> None:
        """Remember a step that has just ended."""
        options = self._options(step)
        left = files_left(footprint, step.command, options, self._workspace)
        self._done[history] = _Done(
            settings=text_digest(repr(self._settings(step))),
            inputs=self._inputs(step, footprint),
            marks=tuple(sorted({self._relative(path) for path in left})),
        )
        write_json(self._path, _Steps(steps=self._done).model_dump(mode="json"))

    def _inputs(self, step: Step, footprint: Footprint) -> dict[str, str]:
        files = set(files_read(footprint, self._options(step), self._workspace))
        few = len(files) <= _FEW_FILES
        return {self._relative(file): _state(file, by_content=few) for file in sorted(files)}

    def _options(self, step: Step) -> dict[str, Any]:
        """Return the options of the step, over those that wsikd.yaml states."""
        return {**self._settings(step), **step.options}

    def _settings(self, step: Step) -> dict[str, Any]:
        return stated_options(self._workspace.settings, step.command)

    def _relative(self, path: Path) -> str:
        root = self._workspace.root.absolute()
        full = path.absolute()
        return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)


def step_digest(history: str, command: str, options: Mapping[str, Any]) -> str:
    """Hash a step and, through the digest before it, all steps before it."""
    value = [history, command, dict(options)]
    return text_digest(json.dumps(value, sort_keys=True, default=str))


def _read(path: Path) -> dict[str, _Done]:
    """Read what was done; what an older wsikd or a damaged file says is done again."""
    try:
        return dict(_Steps(**json.loads(path.read_text(encoding="utf-8"))).steps)
    except (FileNotFoundError, ValueError, TypeError):  # pydantic's own is a ValueError
        return {}


def _state(file: Path, *, by_content: bool) -> str:
    stat = file.stat()
    if not by_content or stat.st_size > _WHOLE_FILE:
        return f"{stat.st_size} bytes, changed {stat.st_mtime_ns}"
    return file_digest(file)
