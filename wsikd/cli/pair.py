"""Train an encoder without labels, from pairs of images of the same tissue.

Example: wsikd pair --pairing downsample --patch 96 --expander 256 256 --batch 32
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, tell_runs
from wsikd.methods.pair_settings import PairSettings
from wsikd.recipes import Footprint
from wsikd.study import Study
from wsikd.training.distributed import is_first, joined

FOOTPRINTS = {"pair": Footprint(reads=("slides.csv", "regions/*/slide.json"))}


def pair(*, settings: Annotated[PairSettings, Flat], workspace: InWorkspace) -> int:
    """Train an encoder without labels, from pairs of images of the same tissue."""
    with joined(settings.device):
        runs = Study(workspace, say=say if is_first() else _be_silent).pair(settings)
        if is_first():
            tell_runs(runs)
    return 0


def _be_silent(_text: str) -> None:
    """Tell nothing: of several processes the first alone does."""
