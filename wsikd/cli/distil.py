"""Train a student that reads at a low magnification, from a teacher, without labels.

Example: wsikd distil --student-mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, tell_runs
from wsikd.methods.distil import DistilSettings
from wsikd.recipes import Footprint
from wsikd.study import Study

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
    tell_runs(Study(workspace, say=say).distil(settings))
    return 0
