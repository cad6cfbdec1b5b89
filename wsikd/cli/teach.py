"""Train a teacher at 10x, or a baseline at another magnification, from labels.

Example: wsikd teach --mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, tell_runs
from wsikd.cli.splitting import split_manifest
from wsikd.store import RegionStore
from wsikd.training.teach import TeachSettings
from wsikd.training.teach import teach as train


def teach(
    *,
    settings: Annotated[TeachSettings, Flat] = TeachSettings(),
    workspace: InWorkspace,
) -> int:
    """Train a teacher at 10x, or a baseline at another magnification, from labels."""
    manifest = split_manifest(workspace)
    tell_runs(train(RegionStore(workspace.store), manifest, workspace.runs, settings))
    return 0
