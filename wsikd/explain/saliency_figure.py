"""The picture of what networks look at: patches down, layers across."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wsikd.evaluation.metrics import Floats
from wsikd.explain.gradcam import Saliency
from wsikd.explain.layers import title_of
from wsikd.explain.opening import Patches
from wsikd.explain.panels import clear, draw_scale
from wsikd.geometry import Pixels
from wsikd.models.weights import ModelDescription

_COLOURS = "viridis"  # even in lightness, and unlike haematoxylin, eosin and DAB
_CELL = 1.55  # inches
_LONGEST = 20  # characters of a name beside a patch
_TOP = 99.5  # percentile of a map that is drawn as its largest value, as single pixels stick out
_ENCODER = "the whole embedding"


@dataclass(frozen=True)
class Looked:
    """What one run looked at: a class for every patch, and maps of those that are drawn.

    Attributes
    ----------
    strides : dict of str to int
        Pixels of the patch per place of each layer's map.
    """

    name: str
    description: ModelDescription
    strides: dict[str, int]
    targets: list[str] = field(default_factory=list)
    maps: list[dict[str, Floats]] = field(default_factory=list)

    @property
    def about(self) -> str:
        """What the maps are about, in words."""
        if not self.description.classes:
            return f"{_ENCODER} (half its squared norm), as the network has no classes"
        return "the class in the column target"

    def add(self, saliency: Saliency, most: int) -> None:
        """Add a batch; maps are kept until there are `most`."""
        count = len(next(iter(saliency.maps.values())))
        classes = self.description.classes
        indices = [] if saliency.targets is None else saliency.targets.tolist()
        self.targets.extend([classes[index] for index in indices] or [""] * count)
        for place in range(min(count, most - len(self.maps))):
            self.maps.append(
                {name: one[place].cpu().numpy() for name, one in saliency.maps.items()}
            )


def draw_saliency(patches: Patches, looked: Sequence[Looked], path: Path) -> None:
    """Draw every kept patch, and over its grey picture the map of each layer of each run.

    Parameters
    ----------
    patches : Patches
        In the order of the maps.
    looked : sequence of Looked
        One run, or several side by side.
    path : Path
        PNG to write, whatever its suffix.
    """
    rows = len(looked[0].maps)
    widths = [1.0, *(width for run in looked for width in (0.18, *[1.0] * len(run.strides)))]
    with mpl.rc_context({"font.size": 10, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(_CELL * sum(widths) + 1.5, _CELL * rows + 2.0))
        top, bottom = 1 - 0.95 / figure.get_figheight(), 0.95 / figure.get_figheight()
        grid = figure.add_gridspec(
            rows,
            len(widths),
            width_ratios=widths,
            wspace=0.05,
            hspace=0.16,
            left=1.4 / figure.get_figwidth(),
            right=1 - 0.1 / figure.get_figwidth(),
            top=top,
            bottom=bottom,
        )
        for row in range(rows):
            axes = figure.add_subplot(grid[row, 0])
            _draw_patch(axes, patches, row, looked[0].description.mpp)
            first = 2
            for run in looked:
                columns = range(first, first + len(run.strides))
                cells = [figure.add_subplot(grid[row, column]) for column in columns]
                _draw_maps(cells, patches.pixels[row], run, row)
                first = columns.stop + 1
        _draw_words(figure, patches, looked)
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def _draw_patch(axes: Axes, patches: Patches, row: int, mpp: float) -> None:
    pixels = patches.pixels[row]
    axes.imshow(pixels)
    clear(axes)
    parts = [patches.labels[row], *patches.names[row].split("/")]
    said = "\n".join(_shortened(part) for part in parts if part and not part.startswith("region-"))
    axes.text(-0.06, 0.5, said, transform=axes.transAxes, ha="right", va="center", fontsize=7.5)
    if row == 0:
        axes.set_title("patch", fontsize=10, pad=6)
        draw_scale(axes, pixels, mpp)


def _draw_maps(cells: Sequence[Axes], pixels: Pixels, run: Looked, row: int) -> None:
    grey = pixels.mean(2)
    for axes, (layer, saliency) in zip(cells, run.maps[row].items(), strict=True):
        axes.imshow(grey, cmap="gray", vmin=-60, vmax=255)  # lighter, as colour comes over it
        peak = float(np.percentile(saliency, _TOP)) or float(saliency.max()) or 1.0
        shares = np.clip(saliency / peak, 0, 1)
        axes.imshow(shares, cmap=_COLOURS, vmin=0, vmax=1, alpha=0.65 * np.sqrt(shares))
        clear(axes)
        if row == 0:
            side = run.strides[layer] * run.description.mpp
            axes.set_title(f"{title_of(layer)}\n1 place = {side:.3g} µm", fontsize=8.5, pad=6)
    if run.targets[row]:
        said = _shortened(f"\N{RIGHTWARDS ARROW} {run.targets[row]}")
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
        where = cells[0].transAxes
        cells[0].text(0.04, 0.05, said, transform=where, fontsize=8, va="bottom", bbox=box)


def _draw_words(figure: Figure, patches: Patches, looked: Sequence[Looked]) -> None:
    height = figure.get_figheight()
    first = 1  # the patch is in the first axes
    for run in looked:
        cells = figure.axes[first : first + len(run.strides)]
        x = (cells[0].get_position().x0 + cells[-1].get_position().x1) / 2
        first += len(cells)
        figure.text(x, 1 - 0.2 / height, run.name, ha="center", fontsize=11, fontweight="bold")
    classes = any(run.description.classes for run in looked)
    about = "the class after the arrow" if classes else _ENCODER
    drawn = f"{len(looked[0].maps)} of {len(patches)} patches chosen at random"
    drawn += f" from the {patches.split} split" if patches.split else ""
    words = (
        f"Yellow: places on which {about} rests most (Grad-CAM); blue: less; grey: not at all. "
        "Every map is scaled to its own\nlargest values, so compare where, not how much. "
        f"A place is the grain of a layer's map. {drawn}."
    )
    figure.text(0.012, 0.18 / height, words, fontsize=9, va="bottom", linespacing=1.5)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
