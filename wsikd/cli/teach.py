"""Train a teacher at 10x, or a baseline at another magnification, from labels.

Example: wsikd teach --mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, tell_runs
from wsikd.cli.training_data import training_data
from wsikd.methods.teach import TeachSettings
from wsikd.methods.teach import teach as train
from wsikd.recipes import Footprint

FOOTPRINTS = {"teach": Footprint(reads=("slides.csv", "regions/*/slide.json"), runs=("init",))}


def teach(
    *,
    settings: Annotated[TeachSettings, Flat] = TeachSettings(),
    workspace: InWorkspace,
) -> int:
    """Train a teacher at 10x, or a baseline at another magnification, from labels."""
    store, manifest = training_data(workspace)
    tell_runs(train(store, manifest, workspace.runs, settings))
    return 0
