"""Recipes: an ordered list of commands with their settings; what is done is skipped.

A recipe is a YAML file with `name`, `about` and `steps`; each step maps one command to its
options::

    steps:
      - prepare: {slides: slides/, pyramid.magnifications: [10, 1.25]}
      - teach: {epochs: 20}

A step is skipped if it was done before with the same options, after the same steps, what it reads
is as it was when it ended, and nothing that was there then is gone.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from wsikd.config import Settings, explain, load_yaml
from wsikd.errors import ConfigError, SomeSlidesFailedError
from wsikd.files import write_json
from wsikd.hashing import file_digest, text_digest
from wsikd.workspace import Workspace

READS: Mapping[str, tuple[str, ...]] = {
    "draw": (),
    "prepare": (),
    "split": ("slides.csv",),
    "teach": ("slides.csv", "regions/*/slide.json"),
    "distil": ("slides.csv", "regions/*/slide.json"),
    "finetune": ("slides.csv", "regions/*/slide.json"),
    "pair": ("slides.csv", "regions/*/slide.json"),
    "probe": ("slides.csv", "runs/pair-*/run.json"),
    "segment train": ("slides.csv", "regions/*/slide.json"),
    "segment apply": ("slides.csv", "regions/*/slide.json", "runs/*/run.json"),
    "segment evaluate": ("runs/*/run.json",),
    "explain": ("runs/*/run.json",),
    "cka": ("runs/*/run.json",),
    "evaluate": ("slides.csv", "runs/*/predictions*.csv"),
    "report": ("slides.csv", "runs/metrics.json", "regions/status.csv"),
}
"""Command to what it reads in the workspace, beside the files its options name."""

MARKS = (
    "slides/slides.csv",
    "slides.csv",
    "regions/*/slide.json",
    "runs/*/run.json",
    "runs/metrics.json",
    "runs/probe-metrics.json",
    "runs/segment-metrics.json",
    "runs/*/segmented.csv",
    "report.html",
)
"""What steps leave in the workspace; who removes one of these wants it made anew."""

_WHOLE_FILE = 2**20  # smaller files are compared byte by byte, larger ones by size and time
_FEW_FILES = 1000  # of more than these all are compared by size and time


class Recipe(Settings):
    """Commands in order, for one paper and data set."""

    name: str = Field(pattern=r"^[\w-]+$")
    about: str = ""
    steps: tuple[dict[str, dict[str, Any] | None], ...] = Field(min_length=1)


@dataclass(frozen=True)
class Step:
    """One command of a recipe."""

    number: int
    command: str
    options: Mapping[str, Any]

    @property
    def arguments(self) -> list[str]:
        """What to type after `wsikd`."""
        return [*self.command.split(), *_arguments(self.options)]

    def __str__(self) -> str:
        return " ".join(["wsikd", *self.arguments])


def read_recipe(path: Path) -> tuple[str, list[Step]]:
    """Read and check a recipe.

    Returns
    -------
    name : str
        Of the recipe.
    steps : list of Step
        In order.

    Raises
    ------
    ConfigError
        If the file is missing, no recipe, or names a command that cannot be a step.
    """
    try:
        recipe = Recipe(**load_yaml(path))
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None
    steps = []
    for number, entry in enumerate(recipe.steps, start=1):
        if len(entry) != 1 or next(iter(entry)) not in READS:
            raise ConfigError(
                f"{path}: step {number} must map one of {', '.join(READS)} to its options, "
                f"got {', '.join(entry) or 'nothing'}"
            )
        ((command, options),) = entry.items()
        steps.append(Step(number, command, options or {}))
    return recipe.name, steps


def run_recipe(
    path: Path,
    workspace: Workspace,
    execute: Callable[[list[str]], object],
    check: Callable[[list[str]], object],
    tell: Callable[[Step, bool], None],
    *,
    dry_run: bool = False,
) -> None:
    """Carry out a recipe, skipping the steps that are done.

    Parameters
    ----------
    path : Path
        The recipe.
    workspace : Workspace
        Remembers what is done, in `runs/recipe-<name>.json`. Paths in the recipe are relative to
        the current folder, so be there.
    execute : callable
        Carries out one command, given what to type after `wsikd`.
    check : callable
        Raises `ConfigError` if it cannot be typed; asked of every step before the first begins.
    tell : callable
        Told each step and whether it is skipped, before it is carried out.
    dry_run : bool
        Only tell.

    Raises
    ------
    ConfigError
        If the recipe breaks a rule.
    SomeSlidesFailedError
        If a step did, once the others are done; it is not skipped next time.
    """
    name, steps = read_recipe(path)
    for step in steps:
        try:
            check(step.arguments)
        except ConfigError as error:
            raise ConfigError(f"{path}: step {step.number}, {step.command}: {error}") from None
    memory = _Memory(workspace, f"recipe-{name}.json")
    history, skipped, failure = "", True, None
    for step in steps:
        history = _digest([history, step.command, dict(step.options)])
        skipped = skipped and memory.holds(history, step)
        tell(step, skipped)
        if skipped or dry_run:
            continue
        try:
            execute(step.arguments)
            memory.keep(history, step)
        except SomeSlidesFailedError as error:
            failure = error
    if failure is not None:
        raise failure


class _Memory:
    """What was done: by the digest of a step and those before it, what it read and what was there.

    Parameters
    ----------
    workspace : Workspace
        Where the recipe is carried out.
    name : str
        Of the file in `runs/`.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace, self.path = workspace, workspace.runs / name
        stored = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.steps: dict[str, dict[str, Any]] = stored.get("steps", {})

    def holds(self, history: str, step: Step) -> bool:
        """Say whether the step would read the same again, and all that was there still is."""
        kept = self.steps.get(history)
        if kept is None or kept["inputs"] != self._inputs(step):
            return False
        return all((self.workspace.root / mark).exists() for mark in kept["marks"])

    def keep(self, history: str, step: Step) -> None:
        """Remember a step that has just ended."""
        root = self.workspace.root
        marks = sorted(
            str(path.relative_to(root)) for pattern in MARKS for path in root.glob(pattern)
        )
        self.steps[history] = {"inputs": self._inputs(step), "marks": marks}
        write_json(self.path, {"steps": self.steps})

    def _inputs(self, step: Step) -> str:
        named = [Path(value) for value in step.options.values() if isinstance(value, str)]
        paths = [path for path in named if path.exists()]
        for pattern in READS[step.command]:
            paths += self.workspace.root.glob(pattern)
        files = sorted({file for path in paths for file in _files_of(path)})
        place = self.workspace.settings
        settings: Any = load_yaml(place) if place.exists() else {}
        for name in step.command.split():
            settings = (settings or {}).get(name)
        few = len(files) <= _FEW_FILES
        return _digest([settings or {}, *(_state(file, by_content=few) for file in files)])


def _files_of(path: Path) -> Iterator[Path]:
    return (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else iter([path])


def _state(file: Path, *, by_content: bool) -> list[object]:
    stat = file.stat()
    if not by_content or stat.st_size > _WHOLE_FILE:
        return [str(file), stat.st_size, stat.st_mtime_ns]
    return [str(file), file_digest(file)]


def _digest(value: Sequence[object]) -> str:
    return text_digest(json.dumps(value, sort_keys=True, default=str))


def _arguments(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in options.items():
        option = f"{prefix}{name}".replace("_", "-")
        if isinstance(value, Mapping):
            yield from _arguments(value, f"{option}.")
        elif isinstance(value, bool):
            yield f"--{option}" if value else f"--{'.'.join(_negated(option))}"
        elif isinstance(value, list):
            yield from (f"--{option}", *(str(item) for item in value))
        elif value is not None:
            yield from (f"--{option}", str(value))


def _negated(option: str) -> list[str]:
    *family, name = option.split(".")
    return [*family, f"no-{name}"]
