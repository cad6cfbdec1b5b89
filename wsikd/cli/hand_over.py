"""What evaluate and report need of the regions: made anew where the regions are, else as it is."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from wsikd.evaluation import ControlSettings
from wsikd.workspace import Workspace

if TYPE_CHECKING:
    from wsikd.store import RegionStore


def make_controls(
    workspace: Workspace, manifest: pd.DataFrame, settings: ControlSettings
) -> list[str]:
    """Make the controls beside the finished runs; return notes on what could not be made."""

    def make(store: "RegionStore") -> list[str]:
        from wsikd.methods.controls import refresh_controls  # noqa: PLC0415  reads regions

        return refresh_controls(workspace.runs, store, manifest, settings)

    return _where_the_regions_are(workspace, "controls", make)


def make_pictures(workspace: Workspace, manifest: pd.DataFrame) -> list[str]:
    """Make the pictures of slides and regions; return notes on what could not be made."""

    def make(store: "RegionStore") -> list[str]:
        from wsikd.methods.pictures import refresh_pictures  # noqa: PLC0415  reads regions

        refresh_pictures(workspace.runs, store, manifest)
        return []

    return _where_the_regions_are(workspace, "pictures", make)


def _where_the_regions_are(
    workspace: Workspace, what: str, make: Callable[["RegionStore"], list[str]]
) -> list[str]:
    if not workspace.store.is_dir():
        return []
    try:
        from wsikd.store import RegionStore  # noqa: PLC0415  zarr, absent on a laptop

        return make(RegionStore(workspace.store))
    except ModuleNotFoundError as error:
        return [f"the {what} are those made with the runs: {error.name} is not installed here"]
