"""Train an encoder without labels, from pairs of images of the same tissue.

Example: wsikd pair --pairing downsample --patch 96 --expander 256 256 --batch 32
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, tell_runs
from wsikd.data.pairs import open_views
from wsikd.data.patches import open_patches
from wsikd.methods.pair import pair as train
from wsikd.methods.pair_settings import PairSettings
from wsikd.recipes import Footprint
from wsikd.training.distributed import is_first, joined

FOOTPRINTS = {"pair": Footprint(reads=("slides.csv", "regions/*/slide.json"))}


def pair(*, settings: Annotated[PairSettings, Flat], workspace: InWorkspace) -> int:
    """Train an encoder without labels, from pairs of images of the same tissue."""
    with joined(settings.device):
        source = open_patches(settings, workspace)
        shown = open_views(settings, source)
        side, other = (shown[name].size.width for name in ("primary", "privileged"))
        if is_first():
            say(f"{source.origin}: {len(source.items)} patches, in pairs of {side} and {other} px")
        runs = train(source, shown, workspace.cache, workspace.runs, settings)
        if is_first():
            tell_runs(runs)
    return 0
