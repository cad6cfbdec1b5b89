"""Train the last layer of a student from labels.

Example: wsikd finetune --student-mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, tell_runs
from wsikd.methods.finetune import FinetuneSettings
from wsikd.recipes import Footprint
from wsikd.study import Study

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
    tell_runs(Study(workspace, say=say).finetune(settings))
    return 0
