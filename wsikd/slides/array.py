"""An array in memory as a slide, for tests and for callers without a file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.reader import SlideReader, on_white
from wsikd.slides.unscanned import share_of_cells


class ArrayReader(SlideReader):
    """Reads an array as if it were a slide with a pyramid.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3) or (height, width, 4)
        Level 0, in RGB or RGBA.
    mpp : float, Mpp or None
        What the slide states as its µm per pixel.
    objective_power : float or None
        What the slide states as its objective.
    level_downsamples : tuple of int
        Level-0 pixels per level pixel of each level; the levels are means of such blocks.

    Examples
    --------
    >>> slide = ArrayReader(np.zeros((30, 40, 3), np.uint8), mpp=0.5)
    >>> slide.level_sizes
    (Size(width=40, height=30), Size(width=10, height=8))
    """

    name = "array"

    def __init__(
        self,
        pixels: Pixels,
        *,
        mpp: float | Mpp | None = None,
        objective_power: float | None = None,
        level_downsamples: tuple[int, ...] = (1, 4),
    ) -> None:
        self.path = Path("array")
        self.format = "array"
        self.version = f"numpy {np.__version__}"
        self._levels = [Image.fromarray(pixels).reduce(factor) for factor in level_downsamples]
        self.level_sizes = tuple(Size(*level.size) for level in self._levels)
        self.stated_mpp = Mpp(mpp, mpp) if isinstance(mpp, int | float) else mpp
        self.objective_power = objective_power
        self.tile_size = Size(256, 256)

    def find_unscanned(self, size: Size) -> NDArray[np.bool_]:
        """Find where the array is transparent."""
        if self._levels[0].mode != "RGBA":
            return super().find_unscanned(size)
        alpha = np.asarray(self._levels[0].getchannel("A"))
        return share_of_cells(alpha == 0, size) >= 0.5

    def _read(self, region: Region, level: int) -> Pixels:
        down_x, down_y = self.level_downsamples[level]
        left, top = round(region.x / down_x), round(region.y / down_y)
        box = (left, top, left + region.size.width, top + region.size.height)
        pixels = np.asarray(self._levels[level].crop(box).convert("RGBA"))
        return on_white(pixels)

    def _close(self) -> None:
        self._levels.clear()
