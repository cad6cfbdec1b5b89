"""Train a teacher, or a baseline at a lower magnification, from labels.

Example: wsikd teach --mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, tell_runs
from wsikd.methods.teach import TeachSettings
from wsikd.recipes import Footprint
from wsikd.study import Study

FOOTPRINTS = {"teach": Footprint(reads=("slides.csv", "regions/*/slide.json"), runs=("init",))}


def teach(
    *,
    settings: Annotated[TeachSettings, Flat] = TeachSettings(),
    workspace: InWorkspace,
) -> int:
    """Train a teacher, or a baseline at a lower magnification, from labels."""
    tell_runs(Study(workspace, say=say).teach(settings))
    return 0
