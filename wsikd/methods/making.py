"""How a run that is missing can be made: the remedy of a refusal."""

import re
from pathlib import Path
from typing import cast

from wsikd.methods.region_inputs import TEACHER_MAGNIFICATION, usual_role
from wsikd.runs import KINDS, Method, pooled_name
from wsikd.runs.names import NAME_PATTERN

_USUAL = re.compile(
    r"(?P<method>teacher|baseline|student|finetuned)-(?P<mag>\d+(?:\.\d+)?)x"
    r"(?:-fold(?P<fold>\d+))?(?:-seed(?P<seed>[1-9]\d*))?"
)
"""A name that a run has if its settings have none, see `run_name`."""


def how_to_make(name: str, *commands: str) -> str:
    """Return the commands that make a run of a name, for the message that there is none.

    Parameters
    ----------
    name : str
        Of the run, with or without its folder and its fold.
    commands : str
        That make a run of a kind that would do, with the options they cannot do without.

    Examples
    --------
    >>> how_to_make("teacher-10x", "wsikd teach")
    'make it with `wsikd teach`'
    >>> how_to_make("runs/baseline-5x-fold1-seed2", "wsikd pair", "wsikd teach")
    'make it with `wsikd teach --mag 5 --fold 1 --seed 2`'
    >>> how_to_make("other", "wsikd pair", "wsikd teach")
    'make it with `wsikd pair --name other` or `wsikd teach --name other`'
    """
    called = Path(name).name
    usual = _USUAL.fullmatch(called)
    if usual:
        made = [_usual_command(usual)]
        might = any(made[0].startswith(" ".join(command.split()[:2])) for command in commands)
    else:
        made = [f"{command} {_named(called)}" for command in commands]
        might = re.match(NAME_PATTERN, called) is not None
    if not might:  # no run that would do is called so
        return "see the folder for their names"
    return "make it with " + " or ".join(f"`{command}`" for command in made)


def _usual_command(usual: re.Match[str]) -> str:
    """Return the command that makes the run of a usual name."""
    method, mag = cast("Method", usual["method"]), usual["mag"]
    kind = KINDS[method]
    words = [kind.command]
    if kind.can_teach:
        words += [] if float(mag) == TEACHER_MAGNIFICATION else [f"--mag {mag}"]
        words += [] if usual_role(float(mag)) == method else [f"--role {method}"]
    else:
        words.append(f"--student-mag {mag}")
    return " ".join(words + [f"--{name} {usual[name]}" for name in ("fold", "seed") if usual[name]])


def _named(name: str) -> str:
    """Return the options that give a run a name, which a fold is added to."""
    fold = re.search(r"-fold(\d+)", name)
    return f"--name {pooled_name(name)}" + (f" --fold {fold[1]}" if fold else "")
