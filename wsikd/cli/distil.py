"""Train a student that reads at a low magnification, from a teacher, without labels.

Example: wsikd distil --student-mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace
from wsikd.cli.processes import joined_study, tell_joined
from wsikd.methods.distil_settings import DistilSettings
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
    with joined_study(workspace, settings) as study:
        tell_joined(study.distil(settings))
    return 0
