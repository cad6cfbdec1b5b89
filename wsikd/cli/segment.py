"""Find nuclei without labels: train a small network on images or slides, apply it, score it.

Example: wsikd segment train images/ && wsikd segment apply images/
"""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from wsikd.cli.console import Flat, InWorkspace, say, tell_runs
from wsikd.training.segment import segment as learn
from wsikd.training.segment_inputs import gather
from wsikd.training.segment_settings import SegmentSettings

segment = App(name="segment", help="Find nuclei without labels: train, apply, evaluate.")


@segment.command
def train(
    inputs: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    /,
    *,
    labelled: Path | None = None,
    settings: Annotated[SegmentSettings, Flat] = SegmentSettings(),
    workspace: InWorkspace,
) -> int:
    """Train a nuclei segmenter without labels.

    Parameters
    ----------
    inputs
        images or slides, folders of them, or a region store; unset: the workspace's regions
    labelled
        labelled set of nuclei whose training images are learnt from; labels unread unless --select
    """
    gathered = gather(inputs, labelled, settings, workspace, say)
    say(f"{len(gathered.fields)} images or regions of {len(gathered.inputs)} files")
    tell_runs([learn(*gathered, workspace.runs, settings)])
    return 0
