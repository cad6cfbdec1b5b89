"""Recipes: an ordered list of commands with their settings; what is done is skipped.

A recipe is a YAML file with `name`, `about`, `steps` and `expect`; each step maps one command to
its options::

    steps:
      - prepare: {slides: slides/, pyramid.magnifications: [10, 1.25]}
      - teach: {epochs: 20}

A step is skipped if it was done before with the same options, after the same steps, what it reads
is as it was when it ended, and nothing that was there then is gone.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from wsikd.config import Settings, explain, load_yaml
from wsikd.errors import ConfigError


class Recipe(Settings):
    """Commands in order, for one paper and data set."""

    name: str = Field(pattern=r"^[\w-]+$")
    about: str = ""
    steps: tuple[dict[str, dict[str, Any] | None], ...] = Field(min_length=1)
    expect: str = Field("", description="what a user should see, said at the end")


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


class Steps(NamedTuple):
    """What a recipe asks for, and what it leads one to expect."""

    name: str
    steps: list[Step]
    expect: str


def read_recipe(path: Path, commands: Collection[str]) -> Steps:
    """Read and check a recipe.

    Parameters
    ----------
    path : Path
        The recipe.
    commands : collection of str
        Those that can be a step.

    Returns
    -------
    Steps
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
        if len(entry) != 1 or next(iter(entry)) not in commands:
            raise ConfigError(
                f"{path}: step {number} must map one of {', '.join(commands)} to its options, "
                f"got {', '.join(entry) or 'nothing'}"
            )
        ((command, options),) = entry.items()
        steps.append(Step(number, command, options or {}))
    return Steps(recipe.name, steps, " ".join(recipe.expect.split()))


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
