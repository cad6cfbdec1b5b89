"""Read rectangles of a slide in strips, and the whole slide at a low resolution.

Strips begin and end on the slide's tile rows, so that each compressed tile is decoded once however
large the rectangle is.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wsikd.geometry import Mpp, Region, Size, scaled_size
from wsikd.pyramid.resample import StripResampler
from wsikd.slides.reader import SlideReader

_STRIP_BYTES = 96 * 2**20  # the weights of the kernel are worked out for every strip anew


def iter_strips(reader: SlideReader, box: Region) -> Iterator[NDArray[np.uint8]]:
    """Read a rectangle of level 0 from top to bottom.

    Parameters
    ----------
    reader : SlideReader
        Open slide.
    box : Region
        Rectangle in the level-0 frame, at level 0.

    Yields
    ------
    ndarray of uint8, shape (rows, box.size.width, 3)
        Consecutive strips, at most 96 MiB or one row of tiles, whichever is more.

    Raises
    ------
    SlideError
        If the data cannot be decoded.
    """
    tile = reader.tile_size.height
    strip = max(1, _STRIP_BYTES // (3 * box.size.width * tile)) * tile
    bottom = box.y + box.size.height
    top = box.y
    while top < bottom:
        below = min((top // tile) * tile + strip, bottom)
        yield reader.read(Region(box.x, top, Size(box.size.width, below - top)))
        top = below


def read_overview(
    reader: SlideReader, mpp: Mpp, target_mpp: float
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Read the whole slide at a low resolution.

    The smallest level that is still at least as fine as the target is read in strips and averaged
    (box kernel), so a slide of one level costs time but no memory. Never upsampled: a slide that
    is coarser than the target is given as it is.

    Parameters
    ----------
    reader : SlideReader
        Open slide.
    mpp : Mpp
        µm per level-0 pixel.
    target_mpp : float
        µm per pixel wanted.

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width, 3)
        The overview.
    scale : tuple of float
        Level-0 pixels per overview pixel along x and y, from the true sizes.
    """
    level = _level_for(reader, mpp, target_mpp)
    source = reader.level_sizes[level]
    wanted = scaled_size(reader.size, mpp, target_mpp)
    size = Size(min(source.width, wanted.width), min(source.height, wanted.height))
    shrink = StripResampler(source, size, "box")
    parts = [shrink.push(strip) for strip in _iter_level(reader, level)]
    pixels = np.concatenate(parts)
    return pixels, (reader.size.width / size.width, reader.size.height / size.height)


def _level_for(reader: SlideReader, mpp: Mpp, target_mpp: float) -> int:
    fine_enough = [
        level
        for level, (down_x, down_y) in enumerate(reader.level_downsamples)
        if max(mpp.x * down_x, mpp.y * down_y) <= target_mpp
    ]
    return max(fine_enough, default=0)


def _iter_level(reader: SlideReader, level: int) -> Iterator[NDArray[np.uint8]]:
    size, (_, down_y) = reader.level_sizes[level], reader.level_downsamples[level]
    if level == 0:
        yield from iter_strips(reader, Region(0, 0, size))
        return
    rows = max(1, _STRIP_BYTES // (3 * size.width))
    for top in range(0, size.height, rows):
        strip = Size(size.width, min(rows, size.height - top))
        yield reader.read(Region(0, round(top * down_y), strip), level=level)
