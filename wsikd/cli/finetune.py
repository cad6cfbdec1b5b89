"""Train the last layer of a student from labels.

Example: wsikd finetune --student-mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace
from wsikd.cli.processes import joined_study, tell_joined
from wsikd.methods.finetune import FinetuneSettings
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
    with joined_study(workspace, settings) as study:
        tell_joined(study.finetune(settings))
    return 0
