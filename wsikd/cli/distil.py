"""Train a student that reads at a low magnification, from a teacher, without labels.

Example: wsikd distil --student-mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, tell_runs
from wsikd.cli.training_data import training_data
from wsikd.methods.distil import DistilSettings
from wsikd.methods.distil import distil as train
from wsikd.recipes import Footprint

FOOTPRINTS = {
    "distil": Footprint(
        reads=("slides.csv", "regions/*/slide.json"),
        runs=("teacher", "init"),
        default_kinds=("teacher",),
    )
}


def distil(
    *,
    settings: Annotated[DistilSettings, Flat],
    workspace: InWorkspace,
) -> int:
    """Train a student that reads at a low magnification, from a teacher, without labels."""
    store, manifest = training_data(workspace)
    tell_runs(train(store, manifest, workspace.runs, settings))
    return 0
