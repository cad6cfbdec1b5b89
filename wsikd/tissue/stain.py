"""Tissue by the light it takes away from the glass: the method `wsikd`.

tissueloc's idea (grey, smooth, divide by white, threshold, drop what is small) with every length in
µm and with its failures mended: white is the glass's own colour rather than the brightest pixel,
the channel that lost most light decides, so that pale pink, pale blue and grey all count, and what
is only a hair, the shade of a coverslip or green pen is told from tissue.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsikd.errors import NotBrightfieldError
from wsikd.geometry import Mpp
from wsikd.tissue.discs import Mask, drop_narrow, fill_narrow
from wsikd.tissue.settings import TissueSettings

_DARK = 100  # glass is brighter than this in every channel
_DARK_HALF = 50  # and fewer than half of the pixels are darker than this
_TINT = 0.15  # a brightest colour more tinted than this is tissue that fills the picture
_WHITE = 245.0
_LEAST_TINT = 0.035  # tissue is tinted, textured or darker than any shade; shares of glass's light
_LEAST_TEXTURE = 0.02
_DEEPEST_SHADE = 0.12


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
    step = math.ceil(math.sqrt(overview.size / 3e6))
    pixels = overview[::step, ::step].reshape(-1, 3)
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


def label_pieces(
    overview: NDArray[np.uint8], glass: NDArray[np.float32], mpp: Mpp, settings: TissueSettings
) -> NDArray[np.int32]:
    """Label the pieces of tissue on an overview of the slide.

    Parameters
    ----------
    overview : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    glass : ndarray of float32, shape (3,)
        Colour of the empty glass.
    mpp : Mpp
        µm per overview pixel.
    settings : TissueSettings
        How tissue is found.

    Returns
    -------
    ndarray of int32, shape (height, width)
        0 outside tissue, 1 to n the pieces, each with the gaps narrower than `settings.join_um`.
    """
    tissue, ink = tell_apart(overview, glass, mpp, settings)
    # taken away before and after closing: ink neither joins pieces nor is closed over
    whole = fill_narrow(tissue, settings.join_um, mpp) & ~ink
    whole = drop_narrow(whole, settings.min_width_um, mpp)
    return label_large(whole, tissue, settings.min_area_mm2 * 1e6 / (mpp.x * mpp.y))


def label_large(pieces: Mask, tissue: Mask, least: float) -> NDArray[np.int32]:
    """Label the pieces that hold at least so many pixels of tissue.

    Parameters
    ----------
    pieces, tissue : ndarray of bool, shape (height, width)
        Pieces are connected by sides and corners; only their pixels in `tissue` count.
    least : float
        Pixels of tissue.

    Returns
    -------
    ndarray of int32, shape (height, width)
        0 elsewhere, 1 to n the pieces kept.
    """
    labels, count = ndimage.label(pieces, np.ones((3, 3)))
    large = np.bincount(labels[tissue], minlength=count + 1) >= least
    large[0] = False
    renumbered = np.where(large, np.cumsum(large), 0).astype(np.int32)
    kept: NDArray[np.int32] = renumbered[labels]
    return kept


def tell_apart(
    overview: NDArray[np.uint8], glass: NDArray[np.float32], mpp: Mpp, settings: TissueSettings
) -> tuple[Mask, Mask]:
    """Tell tissue and green ink from glass and the shade of a coverslip, pixel by pixel.

    Parameters
    ----------
    overview : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    glass : ndarray of float32, shape (3,)
        Colour of the empty glass.
    mpp : Mpp
        µm per overview pixel.
    settings : TissueSettings
        How tissue is found.

    Returns
    -------
    tissue, ink : ndarray of bool, shape (height, width)
        No pixel is in both; there is no ink unless `settings.drop_green_ink`.
    """
    sigma = np.array([settings.smoothing_um / mpp.y, settings.smoothing_um / mpp.x])
    grey = overview.mean(axis=2, dtype=np.float32) / glass.mean()
    textured = _texture(grey, 2 * sigma) > _LEAST_TEXTURE
    # the share of the glass's light that is left, one plane a channel to save memory
    red, green, blue = (
        ndimage.gaussian_filter(overview[..., channel] / glass[channel], sigma, mode="nearest")
        for channel in range(3)
    )
    darkest = np.minimum(np.minimum(red, green), blue)
    tinted = np.maximum(np.maximum(red, green), blue) - darkest > _LEAST_TINT
    tissue = darkest < 1 - settings.min_stain
    tissue &= tinted | textured | (darkest < 1 - _DEEPEST_SHADE)
    ink = (green - red > _LEAST_TINT) & (green - blue > -_LEAST_TINT)
    ink &= settings.drop_green_ink
    return tissue & ~ink, ink


def _texture(grey: NDArray[np.float32], sigma: NDArray[np.float64]) -> NDArray[np.float32]:
    """Compute the standard deviation around each pixel."""
    mean = ndimage.gaussian_filter(grey, sigma, mode="nearest")
    square = ndimage.gaussian_filter(grey * grey, sigma, mode="nearest")
    deviation: NDArray[np.float32] = np.sqrt(np.maximum(square - mean * mean, 0))
    return deviation
