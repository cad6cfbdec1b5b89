"""The picture of what a segmenter finds: images down; image, confidence, mask and truth across."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from wsikd.explain.panels import clear, draw_scale
from wsikd.nuclei.score.evaluate import Examined
from wsikd.nuclei.score.metrics import Instances, dice

_COLOURS = "viridis"  # even in lightness, and unlike haematoxylin and eosin
_OUTLINE = "#F0E442"  # Okabe and Ito's yellow: light on purple, dark beside white
_EDGE = "black"
_TITLES = ("image", "confidence", "mask", "truth")
_CELL = 2.9  # inches across
_SIDE = 320  # px of an image that are shown across, and down
_LONGEST = 24  # characters of a name beside an image


def draw_nuclei(examined: Sequence[Examined], path: Path) -> None:
    """Draw images, the confidence of a network, and outlines of its mask and of the true nuclei.

    Parameters
    ----------
    examined : sequence of Examined
        Of one network, a row each.
    path : Path
        PNG to write, whatever its suffix.
    """
    sides = [_middle(one).truth.shape for one in examined]
    heights = [_CELL * high / wide for high, wide in sides]
    width, height = 4 * _CELL + 1.3, sum(heights) + 0.1 * len(heights) + 1.0
    with mpl.rc_context({"font.size": 10, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(width, height))
        axes = figure.subplots(
            len(examined),
            len(_TITLES),
            squeeze=False,
            gridspec_kw={
                "height_ratios": heights,
                "left": 0.35 / width,
                "right": 1 - 0.95 / width,
                "top": 1 - 0.4 / height,
                "bottom": 0.6 / height,
                "wspace": 0.03,
                "hspace": 0.1 * len(heights) / sum(heights),
            },
        )
        for one, cells in zip(examined, axes, strict=True):
            _draw_row(cells, one)
        for title, axis in zip(_TITLES, axes[0], strict=True):
            axis.set_title(title, fontsize=11, fontweight="bold", pad=6)
        beside = figure.add_axes(
            (1 - 0.8 / width, 0.6 / height, 0.16 / width, heights[-1] / height)
        )
        figure.colorbar(ScalarMappable(cmap=_COLOURS), cax=beside, label="confidence")
        figure.text(0.35 / width, 0.15 / height, _words(examined), fontsize=9)
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def _draw_row(cells: Sequence[Axes], one: Examined) -> None:
    image, confidence, mask, truth = cells
    said = f"Dice {dice(one.mask, one.truth > 0):.2f}"
    one = _middle(one)
    for axes in (image, mask, truth):
        axes.imshow(one.pixels)
    confidence.imshow(one.confidence, cmap=_COLOURS, vmin=0, vmax=1)
    _outline(mask, one.mask.astype(np.int32))
    _outline(truth, one.truth)
    for axes in cells:
        clear(axes)
    if one.mpp is None:
        draw_scale(image, one.pixels, 1.0, unit="px")
    else:
        draw_scale(image, one.pixels, one.mpp.x)
    cut = len(one.name) > _LONGEST
    name = f"{one.name[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}" if cut else one.name
    image.text(
        -0.03,
        0.5,
        name,
        transform=image.transAxes,
        rotation=90,
        ha="right",
        va="center",
        fontsize=8,
    )
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    mask.text(0.03, 0.04, said, transform=mask.transAxes, fontsize=8.5, va="bottom", bbox=box)


def _outline(axes: Axes, numbers: Instances) -> None:
    """Draw the sides of pixels at which the number changes, light on dark to show on any colour."""
    rows, columns = np.nonzero(numbers[:, 1:] != numbers[:, :-1])
    upright = np.stack([[columns + 0.5, rows - 0.5], [columns + 0.5, rows + 0.5]])  # (ends, xy, N)
    rows, columns = np.nonzero(numbers[1:] != numbers[:-1])
    level = np.stack([[columns - 0.5, rows + 0.5], [columns + 0.5, rows + 0.5]])
    sides = np.concatenate([upright, level], axis=2).transpose(2, 0, 1)
    for colour, width in ((_EDGE, 2.4), (_OUTLINE, 1.1)):
        axes.add_collection(LineCollection(list(sides), colors=colour, linewidths=width))


def _middle(one: Examined) -> Examined:
    """Cut an image that is too large for its outlines to be seen."""
    height, width = one.truth.shape
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    place = slice(top, top + _SIDE), slice(left, left + _SIDE)
    return one._replace(
        pixels=one.pixels[place],
        confidence=one.confidence[place],
        mask=one.mask[place],
        truth=one.truth[place],
    )


def _words(examined: Sequence[Examined]) -> str:
    words = "Yellow lines: borders of the mask, and of the true nuclei. Dice is of the whole image"
    if any(max(one.truth.shape) > _SIDE for one in examined):
        words += f", of which the middle {_SIDE} px are shown where it is larger"
    if any(one.mpp is None for one in examined):
        words += "; px: µm per pixel are unknown"
    return f"{words}."
