"""Train an encoder without labels, from pairs of images of the same tissue.

Example: wsikd pair --pairing downsample --patch 96 --expander 256 256 --batch 32
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace
from wsikd.cli.processes import joined_study, tell_joined
from wsikd.methods.pair_settings import PairSettings
from wsikd.recipes import Footprint

FOOTPRINTS = {"pair": Footprint(reads=("slides.csv", "regions/*/slide.json"))}


def pair(*, settings: Annotated[PairSettings, Flat], workspace: InWorkspace) -> int:
    """Train an encoder without labels, from pairs of images of the same tissue."""
    with joined_study(workspace, settings) as study:
        tell_joined(study.pair(settings))
    return 0
