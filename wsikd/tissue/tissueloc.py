"""Tissue as tissueloc 2.1.0 finds it: the method `tissueloc`, for comparison with published work.

Follows the description in [1]_ and the behaviour of the released program: lengths are in pixels of
whichever level was chosen, and white is the brightest pixel after smoothing. Unlike the program it
composites transparency on white and scales the result by the level's true size.

References
----------
.. [1] Chen, Yang. "tissueloc: Whole slide digital pathology image tissue localization". Journal of
       Open Source Software 4(33), 2019.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsikd.errors import SlideError
from wsikd.geometry import Region
from wsikd.slides.reader import SlideReader
from wsikd.tissue.stain import label_large

_MAX_SIDE = 2048
_MAX_PIXELS = 2**25
_SIGMA = 13.0
_MIN_PIXELS = 10_000
_LUMA = (0.299, 0.587, 0.114)


def read_small_level(
    reader: SlideReader,
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Read the first level with both sides below 2048 pixels, or else the last.

    Parameters
    ----------
    reader : SlideReader
        Open slide.

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width, 3)
        The whole level.
    scale : tuple of float
        Level-0 pixels per level pixel along x and y.

    Raises
    ------
    SlideError
        If no level is small enough to be held in memory.
    """
    small = [level for level, size in enumerate(reader.level_sizes) if max(size) < _MAX_SIDE]
    level = small[0] if small else len(reader.level_sizes) - 1
    size = reader.level_sizes[level]
    if size.width * size.height > _MAX_PIXELS:
        raise SlideError(
            f"{reader.path}: the method tissueloc reads a level whole, and the smallest has "
            f"{size.width}x{size.height} pixels; use --tissue.method wsikd"
        )
    return reader.read(Region(0, 0, size), level=level), reader.level_downsamples[level]


def label_like_tissueloc(pixels: NDArray[np.uint8], threshold: float) -> NDArray[np.int32]:
    """Label the pieces of tissue.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    threshold : float
        Tissue is darker than this share of the brightest pixel.

    Returns
    -------
    ndarray of int32, shape (height, width)
        0 outside tissue, 1 to n the pieces.
    """
    grey = ndimage.gaussian_filter(pixels @ np.array(_LUMA), _SIGMA, mode="nearest")
    mask = ndimage.binary_fill_holes(grey / grey.max() < threshold)
    return label_large(mask, mask, mask, _MIN_PIXELS + 1)
