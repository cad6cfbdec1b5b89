"""The manifest as training needs it: with splits, dealt now if nobody has."""

import pandas as pd

from wsikd.cli.console import say
from wsikd.manifest import is_split, read_manifest, split_by_patient, write_manifest
from wsikd.workspace import Workspace


def split_manifest(workspace: Workspace) -> pd.DataFrame:
    """Read the manifest; if it has neither splits nor folds, split it 70/15/15 and say so."""
    table = read_manifest(workspace.manifest)
    if is_split(table):
        return table
    dealt = split_by_patient(table)
    write_manifest(dealt, workspace.manifest)
    say(f"{workspace.manifest}: had no splits, now 70/15/15 by patient; wsikd split deals others")
    return dealt
