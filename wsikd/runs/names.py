"""What runs are called: method, magnification, fold and seed."""

import re

from wsikd.errors import ConfigError
from wsikd.geometry import format_magnification

_FOLD = r"-fold\d+"

NAME_PATTERN = r"^[\w][\w.+-]*$"
"""What a user may call a run."""

PICTURES = "pictures"
"""Name of the folder of the report's pictures."""


def run_name(
    method: str, magnification: float | None = None, fold: int | None = None, seed: int = 0
) -> str:
    """Name a run: `<method>-<mag>x[-fold<k>][-seed<s>]`, seed 0 unsaid.

    Examples
    --------
    >>> run_name("student", 1.25, fold=0, seed=1)
    'student-1.25x-fold0-seed1'
    >>> run_name("teacher", 10.0)
    'teacher-10x'
    """
    parts = [method]
    if magnification is not None:
        parts.append(format_magnification(magnification))
    if fold is not None:
        parts.append(f"fold{fold}")
    if seed != 0:
        parts.append(f"seed{seed}")
    return "-".join(parts)


def pooled_name(name: str) -> str:
    """Name the runs of all folds together: the name without its fold.

    Examples
    --------
    >>> pooled_name("student-1.25x-fold0-seed1")
    'student-1.25x-seed1'
    """
    return re.sub(_FOLD, "", name)


def refuse_taken(name: str) -> None:
    """Refuse a name that something else below `runs/` has, or could get.

    Raises
    ------
    ConfigError

    Examples
    --------
    >>> refuse_taken("teacher-10x")
    """
    is_file = name.endswith((".json", ".csv", ".html"))
    if name == PICTURES or name.startswith("cka-") or is_file:
        raise ConfigError(
            f"--name must not be that of something else in runs/, got {name!r}; choose another"
        )


def refuse_other_fold(name: str, fold: int | None) -> None:
    """Refuse a name that `pooled_name` would take for a fold of another run.

    Raises
    ------
    ConfigError
    """
    if re.findall(_FOLD, name) not in ([], [f"-fold{fold}"]):
        raise ConfigError(
            "--name must not hold -fold and a number, as that is how the folds of a run are "
            f"named, got {name!r}; leave it out"
        )
