"""The picture of how alike representations are: matrices of layers, and same layers compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from wsikd.explain.layers import title_of
from wsikd.explain.opening import Patches
from wsikd.explain.seeds import Comparison, Separation, layer_names

_PANEL = 3.7  # inches
_LOWER = 3.4  # inches, of the same layers
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
_MARKERS = "osD^vP"
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.edgecolor": "#6b6f76",
    "axes.labelcolor": "#22252a",
    "xtick.color": "#4a4e55",
    "ytick.color": "#4a4e55",
}
_ACROSS = 3  # matrices in a row
_SHORT = 9  # characters of a layer's name that fit below a column


def draw_similarity(
    comparisons: Sequence[Comparison],
    separations: Sequence[Separation],
    patches: Patches,
    path: Path,
) -> None:
    """Draw a matrix for every comparison and, below, the same layers within and between groups.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Within groups and between them.
    separations : sequence of Separation
        What the verdict at the end is about.
    patches : Patches
        On which it was measured.
    path : Path
        PNG to write, whatever its suffix.
    """
    same_layers = [one for one in comparisons if one.of_same_layers]
    words = _words(comparisons, separations, patches)
    across = min(_ACROSS, len(comparisons))
    upper_height = -(-len(comparisons) // across) * (_PANEL + 1.0)
    heights = [upper_height, _LOWER if same_layers else 0.0, 0.3 + 0.2 * len(words)]
    width = max(across * (_PANEL + 0.9) + 0.4, 9.0)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, sum(heights)))
        shown = [height for height in heights if height]
        parts = figure.subfigures(len(shown), 1, squeeze=False, height_ratios=shown, hspace=0)
        _draw_matrices(parts[0, 0], comparisons, width, upper_height)
        if same_layers:
            inner = (0.9 / width, 0.13, 1 - 4.4 / width, 0.78)
            _draw_same_layers(parts[1, 0].add_axes(inner), same_layers)
        below = "\n".join(words)
        figure.text(0.2 / width, 0.15 / sum(heights), below, fontsize=9, linespacing=1.5)
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def _draw_matrices(
    part: SubFigure, comparisons: Sequence[Comparison], width: float, height: float
) -> None:
    across = min(_ACROSS, len(comparisons))
    down = -(-len(comparisons) // across)
    axes = part.subplots(
        down,
        across,
        squeeze=False,
        gridspec_kw={
            "left": 0.9 / width,
            "right": 1 - 0.9 / width,
            "top": 1 - 0.6 / height,
            "bottom": 0.6 / height,
            "wspace": 0.3,
            "hspace": 0.35,
        },
    ).ravel()
    for axis, comparison in zip(axes, comparisons, strict=False):
        image = _draw_matrix(axis, comparison)
    for axis in axes[len(comparisons) :]:
        axis.remove()
    beside = part.add_axes((1 - 0.75 / width, 0.3, 0.13 / width, 0.4))
    part.colorbar(image, cax=beside, label="CKA")


def _draw_matrix(axes: Axes, one: Comparison) -> Any:
    image = axes.imshow(one.value, cmap="viridis", vmin=0, vmax=1)
    rows, columns = (_titles(names) for names in (one.first_layers, one.second_layers))
    for row, column in np.ndindex(one.value.shape):
        _write_value(axes, one, row, column)
    axes.set_xticks(range(len(columns)), columns, fontsize=8.5, **_turned(columns))
    axes.set_yticks(range(len(rows)), rows, fontsize=8.5)
    axes.tick_params(length=0)
    title = _title(one) if one.first == one.second else "between"
    axes.set_title(f"{title}\n{_counted(one)}", fontsize=9.5, loc="left")
    if one.first != one.second:
        axes.set_ylabel(one.first, fontsize=9)
        axes.set_xlabel(one.second, fontsize=9)
    return image


def _write_value(axes: Axes, one: Comparison, row: int, column: int) -> None:
    value = one.value[row, column]
    by_chance = value <= one.chance_high[row, column]
    colour = "black" if value > 0.6 else "white"
    said = f"({_number(value)})" if by_chance else _number(value)
    shift = 0.0
    if one.low is not None and one.high is not None:
        shift = 0.13
        ends = f"{_number(one.low[row, column])} to {_number(one.high[row, column])}"
        axes.text(column, row + 0.24, ends, ha="center", va="center", fontsize=6.5, color=colour)
    axes.text(column, row - shift, said, ha="center", va="center", fontsize=10, color=colour)


def _draw_same_layers(axes: Axes, comparisons: Sequence[Comparison]) -> None:
    names = layer_names(comparisons)
    step = 0.7 / len(comparisons)
    for number, one in enumerate(comparisons):
        places = np.array([names.index(layer) for layer in one.first_layers])
        x = places + (number - (len(comparisons) - 1) / 2) * step
        colour = _COLOURS[number % len(_COLOURS)]
        value = np.diagonal(one.value)
        bars = None
        if one.low is not None and one.high is not None:
            low, high = np.diagonal(one.low), np.diagonal(one.high)
            bars = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
        axes.errorbar(
            x,
            value,
            yerr=bars,
            fmt=_MARKERS[number % len(_MARKERS)],
            color=colour,
            markerfacecolor=colour if one.first == one.second else "white",
            markersize=7,
            capsize=3,
            label=_title(one),
        )
        for place, low, high in zip(
            x, np.diagonal(one.chance_low), np.diagonal(one.chance_high), strict=True
        ):
            axes.fill_between([place - step / 3, place + step / 3], low, high, color="#c9ccd1")
    axes.axhline(0, color="#6b6f76", linewidth=0.8)
    titles = _titles(names)
    axes.set_xticks(range(len(titles)), titles, **_turned(titles))
    axes.set_ylim(min(-0.05, *axes.get_ylim()), 1.03)
    axes.set_ylabel("CKA of the same layer")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e6ea")
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def _words(
    comparisons: Sequence[Comparison], separations: Sequence[Separation], patches: Patches
) -> list[str]:
    split = f" of the {patches.split} split" if patches.split else ""
    words = [
        f"On {len(patches)} patches{split}. 1: the same but for rotation and scale; 0: unrelated.",
        "Small numbers and bars: 95 % interval over seeds.",
        "Grey bands, and numbers in brackets: what shuffled images give too.",
    ]
    if any(one.low is None for one in comparisons):
        words.append("No interval where a group has fewer than three runs.")
    words += [
        f"The layers of {one.first} and {one.second} are named differently: none are the same."
        for one in comparisons
        if not one.of_same_layers
    ]
    if any(one.same_seed for one in comparisons):
        words.append("Some pairs began from the same weights (one seed), which makes them alike.")
    return [*words, *(line for one in separations for line in _verdict(one).split("\n"))]


def _verdict(one: Separation) -> str:
    """Return how far apart two groups are at every layer, in two lines."""
    said = (
        f"Between {one.first} and {one.second} CKA is lower than within them, on average, by\n    "
    )
    parts = []
    for place, title in enumerate(_titles(one.layers)):
        part = f"{_number(one.value[place])} at {title}"
        if one.low is not None and one.high is not None:
            part += f" ({_number(one.low[place])} to {_number(one.high[place])})"
        parts.append(part)
    return said + ", ".join(parts) + "."


def _titles(layers: Sequence[str]) -> list[str]:
    return [title_of(layer) for layer in layers]


def _turned(titles: Sequence[str]) -> dict[str, Any]:
    """Return how titles are turned below an axis, so that long ones do not overlap."""
    if max(map(len, titles)) <= _SHORT:
        return {}
    return {"rotation": 20, "horizontalalignment": "right", "rotation_mode": "anchor"}


def _title(one: Comparison) -> str:
    if one.first == one.second:
        return f"within {one.first}"
    return f"between {one.first}\nand {one.second}"


def _counted(one: Comparison) -> str:
    return f"{one.pairs} pair{'' if one.pairs == 1 else 's'} of runs"


def _number(value: float) -> str:
    text = f"{value:.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
