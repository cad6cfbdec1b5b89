"""Tissue by the light it takes away from the glass: the method `wsikd`.

tissueloc's idea (grey, smooth, divide by white, threshold, drop what is small) with every length in
µm and with its failures mended: white is the glass's own colour rather than the brightest pixel,
the channel that lost most light decides, so that pale pink, pale blue and grey all count, and what
is only a hair, the shade of a coverslip, its edge or pen is told from tissue.

All is measured after a Gaussian of one width in µm, from which the blur of the overview's own
pixels is taken off: tint and texture are then the same at whatever resolution tissue is searched.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsikd.geometry import Mpp
from wsikd.tissue.discs import Mask
from wsikd.tissue.glass import Ground
from wsikd.tissue.marks import Marks, classify, find_marks
from wsikd.tissue.settings import TissueSettings
from wsikd.tissue.stain import REACH

_STRIP_ROWS = 1024
_AROUND = 2  # texture is the deviation within so many times the smoothing
_TRUNCATE = 4.0  # sigmas at which a Gaussian ends
_PIXEL_SIGMA = 1 / math.sqrt(12)  # of the mean over a pixel, in pixels


class Sorted(NamedTuple):
    """What the pixels of an overview are.

    Attributes
    ----------
    tissue : ndarray of bool, shape (height, width)
        Without what is marked.
    halo : ndarray of bool, shape (height, width)
        Where stain is no more than the blurred edge of what is beside it.
    marks : Marks
        What looks like tissue and is left out.
    """

    tissue: Mask
    halo: Mask
    marks: Marks


def sort_pixels(
    overview: NDArray[np.uint8], ground: Ground, mpp: Mpp, settings: TissueSettings
) -> Sorted:
    """Tell tissue from glass, pen, and the shade and edge of a coverslip, pixel by pixel.

    Parameters
    ----------
    overview : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    ground : Ground
        Colour of the glass and where there is none.
    mpp : Mpp
        µm per overview pixel.
    settings : TissueSettings
        How tissue is found.
    """
    tissue = np.empty(overview.shape[:2], np.bool_)
    halo, tints = np.empty_like(tissue), np.empty(tissue.shape, np.uint8)
    for rows, share, texture in _iter_strips(overview, ground, mpp, settings):
        darkest, brightest = share.min(axis=2), share.max(axis=2)
        pale = brightest - darkest > settings.min_tint
        pale |= texture > settings.min_texture
        stained = darkest < 1 - settings.min_stain
        tissue[rows] = stained & (pale | (darkest < 1 - settings.max_shade))
        halo[rows] = _is_halo(1 - darkest, settings.smoothing_um, mpp)
        tints[rows] = np.where(stained, classify(share, texture, settings), 0)
    marks = find_marks(tints, tissue, mpp, settings)
    return Sorted(tissue & ~marks.left_out, halo, marks)


def _iter_strips(
    overview: NDArray[np.uint8], ground: Ground, mpp: Mpp, settings: TissueSettings
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield rows, the share of the glass's light that is left there, and its texture.

    In strips, as both take many times the memory of the overview.
    """
    wanted = np.array([settings.smoothing_um / mpp.y, settings.smoothing_um / mpp.x])
    sigma = np.sqrt(np.maximum(wanted**2 - _PIXEL_SIGMA**2, 0))
    around = _AROUND * wanted
    halo = math.ceil(_TRUNCATE * (sigma[0] + around[0])) + 1
    for top in range(0, len(overview), _STRIP_ROWS):
        above = min(halo, top)
        part = slice(top - above, top + _STRIP_ROWS + halo)
        share = np.divide(overview[part], ground.colour, dtype=np.float32)
        share[ground.nothing[part]] = 1
        for channel in range(3):
            plane = share[..., channel]
            ndimage.gaussian_filter(plane, sigma, output=plane, mode="nearest")
        inner = slice(above, above + _STRIP_ROWS)
        texture = _texture(share.mean(axis=2), around)
        yield slice(top, top + _STRIP_ROWS), share[inner], texture[inner]


def _is_halo(stain: NDArray[np.float32], sigma_um: float, mpp: Mpp) -> Mask:
    """Tell where stain is less than half of the most within the reach of the smoothing."""
    size = [2 * round(REACH * sigma_um / pitch) + 1 for pitch in (mpp.y, mpp.x)]
    halo: Mask = stain < 0.5 * ndimage.maximum_filter(stain, size, mode="nearest")
    return halo


def _texture(grey: NDArray[np.float32], sigma: NDArray[np.float64]) -> NDArray[np.float32]:
    """Compute the standard deviation around each pixel."""
    mean = ndimage.gaussian_filter(grey, sigma, mode="nearest")
    square = ndimage.gaussian_filter(grey * grey, sigma, mode="nearest")
    deviation: NDArray[np.float32] = np.sqrt(np.maximum(square - mean * mean, 0))
    return deviation
