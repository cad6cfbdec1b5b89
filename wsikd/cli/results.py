"""What evaluate and report read beside the runs."""

from wsikd.cli.console import say
from wsikd.store import RegionStore
from wsikd.workspace import Workspace


def open_store(workspace: Workspace) -> RegionStore | None:
    """Open the regions, or say what is left out on a machine that has the runs only."""
    if workspace.store.is_dir():
        return RegionStore(workspace.store)
    say(f"{workspace.store}: no such folder, so no pictures and no colour control")
    return None
