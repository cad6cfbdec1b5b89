"""What commands say: results to stdout, the rest to stderr."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from wsikd.terminal import takes_all
from wsikd.workspace import Workspace

if TYPE_CHECKING:  # it imports pandas, for which `wsikd --help` has no time
    import pandas as pd

    from wsikd.runs import RunFolder

InWorkspace = Annotated[Workspace, Parameter(parse=False)]
"""A command's parameter that the launcher fills in from --workspace."""

Flat = Parameter(name="*")
"""Makes the fields of a settings parameter options of the command itself."""


def show(text: str) -> None:
    """Print a result."""
    print(text)


def show_tables(*tables: "pd.DataFrame", footnotes: Sequence[str] = ()) -> None:
    """Print tables that have rows, with an empty line between, and the notes that they mark."""
    parts = [table.to_string(index=False) for table in tables if len(table)]
    show("\n\n".join([*parts, *(["\n".join(footnotes)] if footnotes else [])]))


def show_json(value: Any) -> None:
    """Print a result for machines."""
    as_ascii = not takes_all(sys.stdout)
    print(json.dumps(value, indent=1, ensure_ascii=as_ascii, allow_nan=False))


def say(text: str) -> None:
    """Print what is going on."""
    print(text, file=sys.stderr, flush=True)


def tell_runs(runs: Sequence["RunFolder"]) -> None:
    """Print where finished runs are."""
    for run in runs:
        show(str(run.path))
