"""The manifest and the regions as training needs them."""

import pandas as pd

from wsikd.cli.console import say
from wsikd.cohort.manifest import read_manifest, write_manifest
from wsikd.cohort.splits import is_split, split_by_patient
from wsikd.data.regions import unprepared_slides
from wsikd.store import RegionStore
from wsikd.workspace import Workspace


def training_data(workspace: Workspace) -> tuple[RegionStore, pd.DataFrame]:
    """Open the regions and read the manifest, dealing splits if nobody has.

    Slides that were not prepared are said: they take no part.
    """
    table = _with_splits(workspace)
    store = RegionStore(workspace.store)
    missing = unprepared_slides(store, table)
    if missing:
        say(
            f"{len(missing)} of {len(table)} slides are not in {store.path} and take no part, "
            f"first {missing[0]}; see {store.path / 'status.csv'}"
        )
    return store, table


def _with_splits(workspace: Workspace) -> pd.DataFrame:
    table = read_manifest(workspace.manifest)
    if is_split(table):
        return table
    dealt = split_by_patient(table)
    write_manifest(dealt, workspace.manifest)
    say(f"{workspace.manifest}: had no splits, now 70/15/15 by patient; wsikd split deals others")
    return dealt
