"""What pictures of tissue have in common: a bar of scale, and no axes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from wsikd.geometry import Pixels


def draw_scale(axes: Axes, pixels: Pixels, mpp: float, unit: str = "µm") -> None:
    """Draw a bar of a round length, at most a third of the picture, with its length.

    Parameters
    ----------
    axes : Axes
        With the picture.
    pixels : ndarray, shape (height, width, 3)
        The picture.
    mpp : float
        Lengths per pixel.
    unit : str
        Of the lengths.
    """
    height, width = pixels.shape[:2]
    wanted = width * mpp / 3
    power = 10 ** np.floor(np.log10(wanted))
    length = max(step * power for step in (1, 2, 5) if step * power <= wanted)
    x, y, thick = 0.05 * width, 0.91 * height, 0.025 * height
    axes.add_patch(
        Rectangle((x, y), length / mpp, thick, facecolor="black", edgecolor="white", linewidth=0.8)
    )
    axes.text(
        x,
        y - 0.02 * height,
        f"{length:g} {unit}",
        fontsize=7.5,
        va="bottom",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    )


def clear(axes: Axes) -> None:
    """Take ticks and frame away."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
