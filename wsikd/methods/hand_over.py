"""What the numbers and the report need of the regions, made where the regions are.

So a laptop evaluates and reports from run folders alone, without the store and its libraries.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from wsikd.errors import WsikdError
from wsikd.evaluation import ControlSettings
from wsikd.methods.controls import write_controls
from wsikd.methods.pictures import refresh_pictures

if TYPE_CHECKING:
    from wsikd.store import RegionStore


def hand_over(
    runs: Path, store: "RegionStore", manifest: pd.DataFrame, folds: Sequence[int | None]
) -> list[str]:
    """Write the controls of these folds, and the pictures of slides and regions, below `runs/`.

    Returns
    -------
    list of str
        What could not be made, and why; finished training does not fail for it.
    """
    notes = []
    try:
        notes += write_controls(runs, store, manifest, folds, ControlSettings())
    except (WsikdError, OSError) as error:
        notes.append(f"the controls were not made: {error}")
    try:
        refresh_pictures(runs, store, manifest)
    except (WsikdError, OSError) as error:
        notes.append(f"the report's pictures were not made: {error}")
    return notes
