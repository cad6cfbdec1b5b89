"""Train the last layer of a student from labels.

Example: wsikd finetune --student-mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, tell_runs
from wsikd.cli.training_data import training_data
from wsikd.methods.finetune import FinetuneSettings
from wsikd.methods.finetune import finetune as train
from wsikd.recipes import Footprint

FOOTPRINTS = {
    "finetune": Footprint(
        reads=("slides.csv", "regions/*/slide.json"), runs=("student",), default_kinds=("student",)
    )
}


def finetune(
    *,
    settings: Annotated[FinetuneSettings, Flat],
    workspace: InWorkspace,
) -> int:
    """Train the last layer of a student from labels."""
    store, manifest = training_data(workspace)
    tell_runs(train(store, manifest, workspace.runs, settings))
    return 0
