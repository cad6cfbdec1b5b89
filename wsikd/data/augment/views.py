"""A counted number of views of every region, which all epochs and runs share.

What a teacher sees of a view can then be remembered. The eight orientations come in turn, so that
eight views have each of them once; colours are drawn anew for every view.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from wsikd.data.augment.regions import AugmentationDraw, AugmentSettings, draw_augmentation
from wsikd.hashing import text_digest

_SEED = 0  # the views are the same for runs of every seed


@dataclass(frozen=True)
class CountedViews:
    """Which of its views a region shows in which epoch, and what was drawn for it.

    Attributes
    ----------
    settings : AugmentSettings
        How far a view may be from the region as it is.
    count : int
        Views of each region.
    names : sequence of str
        Of the regions, in the order of the items. The draws depend on them and not on the order,
        so they are the same whatever else is learnt from.
    """

    settings: AugmentSettings
    count: int
    names: Sequence[str]

    def view(self, epoch: int, index: int) -> int:
        """Return which view of an item an epoch shows: each once in as many epochs as there are."""
        return (epoch + index) % self.count

    def draw(self, epoch: int, index: int) -> AugmentationDraw:
        """Return what was drawn for the view that an epoch shows."""
        return draw_view(self.settings, self.names[index], self.view(epoch, index))


def draw_view(settings: AugmentSettings, name: str, view: int) -> AugmentationDraw:
    """Draw one view of a region; a pure function of its arguments.

    Examples
    --------
    >>> drawn = [draw_view(AugmentSettings(), "slide-1/region-000", view) for view in range(8)]
    >>> len({(draw.flip_horizontal, draw.quarter_turns) for draw in drawn})
    8
    """
    key = int(text_digest(name)[:15], 16)
    drawn = draw_augmentation(settings, _SEED, view, key)
    orientations = _orientations(settings)
    horizontal, vertical, turns = orientations[(view + key) % len(orientations)]
    return drawn._replace(flip_horizontal=horizontal, flip_vertical=vertical, quarter_turns=turns)


def _orientations(settings: AugmentSettings) -> list[tuple[bool, bool, int]]:
    """List the orientations that the settings allow, each once: flips, then quarter turns."""
    mirrored = (False, True) if settings.flips else (False,)
    turns = range(4) if settings.quarter_turns else range(1)
    # mirrored up-down is mirrored left-right and turned by half
    upside_down = mirrored if len(turns) == 1 else (False,)
    return list(itertools.product(mirrored, upside_down, turns))
