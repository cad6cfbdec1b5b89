"""Train the last layer of a student from labels.

Example: wsikd finetune --student-mag 1.25
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, tell_runs
from wsikd.cli.splitting import split_manifest
from wsikd.store import RegionStore
from wsikd.training.finetune import FinetuneSettings
from wsikd.training.finetune import finetune as train


def finetune(
    *,
    settings: Annotated[FinetuneSettings, Flat],
    workspace: InWorkspace,
) -> int:
    """Train the last layer of a student from labels."""
    manifest = split_manifest(workspace)
    tell_runs(train(RegionStore(workspace.store), manifest, workspace.runs, settings))
    return 0
