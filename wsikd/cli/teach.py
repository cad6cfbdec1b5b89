"""Train a teacher, or a baseline at a lower magnification, from labels.

Example: wsikd teach --mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace
from wsikd.cli.processes import joined_study, tell_joined
from wsikd.methods.teach import TeachSettings
from wsikd.recipes import Footprint

FOOTPRINTS = {"teach": Footprint(reads=("slides.csv", "regions/*/slide.json"), runs=("init",))}


def teach(
    *,
    settings: Annotated[TeachSettings, Flat] = TeachSettings(),
    workspace: InWorkspace,
) -> int:
    """Train a teacher, or a baseline at a lower magnification, from labels."""
    with joined_study(workspace, settings) as study:
        tell_joined(study.teach(settings))
    return 0
