"""Controls and pictures for what is shown, made anew where the regions are.

What makes them is imported when it is needed: numbers and reports do without it, and without the
regions, and show then what was made with the runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsikd.errors import StoreError
from wsikd.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from wsikd.evaluation import ControlSettings


def make_controls(
    place: Workspace, table: "pd.DataFrame", settings: "ControlSettings"
) -> list[str]:
    """Make the controls where the regions are; return what could not be made."""
    with _at_hand("controls") as notes:
        if place.store.is_dir():
            from wsikd.methods.controls import refresh_controls  # noqa: PLC0415
            from wsikd.store import RegionStore  # noqa: PLC0415

            store = RegionStore(place.store)
            notes.extend(refresh_controls(place.runs, store, table, settings))
    return notes


def make_pictures(place: Workspace, table: "pd.DataFrame") -> list[str]:
    """Make the pictures where the regions are; return what could not be made."""
    with _at_hand("pictures") as notes:
        if place.store.is_dir():
            from wsikd.methods.pictures import refresh_pictures  # noqa: PLC0415
            from wsikd.store import RegionStore  # noqa: PLC0415

            refresh_pictures(place.runs, RegionStore(place.store), table)
    return notes


@contextmanager
def _at_hand(what: str) -> Iterator[list[str]]:
    """Yield notes, which get why something could not be made on this machine."""
    notes: list[str] = []
    try:
        yield notes
    except ModuleNotFoundError as error:
        notes.append(f"the {what} are those made with the runs: {error.name} is not installed here")
    except StoreError as error:
        notes.append(f"the {what} are those made with the runs: {error}")
