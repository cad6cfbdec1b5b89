"""Carrying out a recipe, skipping the steps that are done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsikd.errors import ConfigError, SomeSlidesFailedError
from wsikd.recipes.footprints import Footprint
from wsikd.recipes.memory import Memory, step_digest
from wsikd.recipes.steps import Step, read_recipe
from wsikd.workspace import Workspace


@dataclass(frozen=True)
class Commands:
    """The command line, as a recipe needs it.

    Attributes
    ----------
    footprints : mapping of str to Footprint
        Of every command that can be a step.
    execute : callable
        Carries out one command, given what to type after `wsikd`.
    check : callable
        Raises `ConfigError` if it cannot be typed; asked of every step before the first begins.
    """

    footprints: Mapping[str, Footprint]
    execute: Callable[[list[str]], object]
    check: Callable[[list[str]], object]


def run_recipe(
    path: Path,
    workspace: Workspace,
    commands: Commands,
    tell: Callable[[Step, bool], None],
    *,
    dry_run: bool = False,
) -> str:
    """Carry out a recipe, skipping the steps that are done.

    Parameters
    ----------
    path : Path
        The recipe.
    workspace : Workspace
        Remembers what is done, in `runs/recipe-<name>.json`. Paths in the recipe are relative to
        the current folder, so be there.
    commands : Commands
        The command line.
    tell : callable
        Told each step and whether it is skipped, before it is carried out.
    dry_run : bool
        Only tell.

    Returns
    -------
    str
        What the recipe leads one to expect of its outcome; may be empty.

    Raises
    ------
    ConfigError
        If the recipe breaks a rule.
    SomeSlidesFailedError
        If a step did, once the others are done; it is not skipped next time.
    """
    name, steps, expect = read_recipe(path, commands.footprints)
    for step in steps:
        try:
            commands.check(step.arguments)
        except ConfigError as error:
            raise ConfigError(f"{path}: step {step.number}, {step.command}: {error}") from None
    memory = Memory(workspace, name)
    history, skipped, failure = "", True, None
    for step in steps:
        footprint = commands.footprints[step.command]
        history = step_digest(history, step.command, step.options)
        skipped = skipped and memory.holds(history, step, footprint)
        tell(step, skipped)
        if skipped or dry_run:
            continue
        try:
            commands.execute(step.arguments)
            memory.keep(history, step, footprint)
        except SomeSlidesFailedError as error:
            failure = error
    if failure is not None:
        raise failure
    return expect
