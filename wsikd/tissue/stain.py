"""Tissue by the light it takes away from the glass: the method `wsikd`.

tissueloc's idea (grey, smooth, divide by white, threshold, drop what is small) with every length in
µm and with its failures mended: white is the glass's own colour rather than the brightest pixel,
the channel that lost most light decides, so that pale pink, pale blue and grey all count, and what
is only a hair, the shade of a coverslip or green pen is told from tissue.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsikd.errors import NotBrightfieldError
from wsikd.geometry import Mpp
from wsikd.tissue.settings import TissueSettings

_DARK = 100  # glass is brighter than this in every channel
_DARK_HALF = 50  # and fewer than half of the pixels are darker than this
_TINT = 0.15  # a brightest colour more tinted than this is tissue that fills the picture
_WHITE = 245.0


def label_pieces(
    overview: NDArray[np.uint8], mpp: Mpp, settings: TissueSettings, path: Path
) -> NDArray[np.int32]:
    """Label the pieces of tissue on an overview of the slide.

    Parameters
    ----------
    overview : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    mpp : Mpp
        µm per overview pixel.
    settings : TissueSettings
        How tissue is found.
    path : Path
        The slide, named in errors.

    Returns
    -------
    ndarray of int32, shape (height, width)
        0 outside tissue, 1 to n the pieces, each with the gaps narrower than `settings.join_um`.

    Raises
    ------
    NotBrightfieldError
        If the background is dark.
    """
    spacing = (mpp.y, mpp.x)
    sigma = (settings.smoothing_um / mpp.y, settings.smoothing_um / mpp.x)
    tissue = light_lost(overview, glass_colour(overview, path), sigma) > settings.min_stain
    reach = settings.join_um / 2
    grown = _depth(~tissue, spacing) <= reach
    depth = _depth(grown, spacing)
    pieces, count = ndimage.label(grown, np.ones((3, 3)))
    # eroded back by as much as it grew, what is left of a piece is half as deep as it is wide
    width = 2 * (ndimage.maximum(depth, pieces, np.arange(count + 1)) - reach)
    area_mm2 = np.bincount(pieces[tissue], minlength=count + 1) * mpp.x * mpp.y / 1e6
    kept = (width >= settings.min_width_um) & (area_mm2 >= settings.min_area_mm2)
    kept[0] = False
    renumbered = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.where(depth > reach, renumbered[pieces], 0)


def glass_colour(overview: NDArray[np.uint8], path: Path) -> NDArray[np.float32]:
    """Find the colour of the empty glass.

    Parameters
    ----------
    overview : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    path : Path
        The slide, named in the error.

    Returns
    -------
    ndarray of float32, shape (3,)
        Median of the pixels nearly as bright as the brightest percent, which a few specks brighter
        than the glass cannot move; white where tissue fills the picture.

    Raises
    ------
    NotBrightfieldError
        If the background is dark.
    """
    pixels = overview.reshape(-1, 3)
    brightest = np.percentile(pixels, 99, axis=0)
    if brightest.min() < _DARK:
        raise NotBrightfieldError(
            f"{path}: must be brightfield, the darkest channel of its brightest percent is "
            f"{brightest.min():.0f} of 255; leave the slide out"
        )
    half = np.median(pixels.max(axis=1))
    if half < _DARK_HALF:
        raise NotBrightfieldError(
            f"{path}: must be brightfield, half of its pixels are at most {half:.0f} of 255; "
            "leave the slide out"
        )
    if brightest.min() < (1 - _TINT) * brightest.max():
        return np.full(3, _WHITE, np.float32)
    glass = pixels[(pixels >= 0.95 * brightest).all(axis=1)]
    colour: NDArray[np.float32] = np.median(glass, axis=0).astype(np.float32)
    return colour


def light_lost(
    overview: NDArray[np.uint8], glass: NDArray[np.float32], sigma: tuple[float, float]
) -> NDArray[np.float32]:
    """Say how much of the glass's light each pixel lacks in the channel that lost most.

    Parameters
    ----------
    overview : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    glass : ndarray of float32, shape (3,)
        Colour of the empty glass.
    sigma : tuple of float
        Gaussian smoothing along y and x, in overview pixels.

    Returns
    -------
    ndarray of float32, shape (height, width)
        0 on glass, 1 on black; below 0 where it is brighter than the glass.
    """
    channels = (overview[..., channel] / glass[channel] for channel in range(3))
    kept = np.minimum.reduce([channel.astype(np.float32) for channel in channels])
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(1 - kept, sigma, mode="nearest")
    return smooth


def _depth(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Give each pixel of a mask its distance in µm to the nearest pixel outside the mask."""
    if mask.all():
        return np.full(mask.shape, np.inf)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(mask, spacing)
    return distance
