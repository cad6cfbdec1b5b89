"""Train a student that reads at a low magnification, from a teacher, without labels.

Example: wsikd distil --student-mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, tell_runs
from wsikd.cli.splitting import split_manifest
from wsikd.store import RegionStore
from wsikd.training.distil import DistilSettings
from wsikd.training.distil import distil as train


def distil(
    *,
    settings: Annotated[DistilSettings, Flat],
    workspace: InWorkspace,
) -> int:
    """Train a student that reads at a low magnification, from a teacher, without labels."""
    manifest = split_manifest(workspace)
    tell_runs(train(RegionStore(workspace.store), manifest, workspace.runs, settings))
    return 0
