"""Masks of tissue to numbered pieces: gaps closed, hairs and specks dropped."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsikd.geometry import Mpp
from wsikd.tissue.discs import Mask, drop_narrow, erode, fill_narrow
from wsikd.tissue.settings import TissueSettings

REACH = 3.0  # of a blurred edge, in sigmas


def label_pieces(
    tissue: Mask, halo: Mask, left_out: Mask, mpp: Mpp, settings: TissueSettings
) -> NDArray[np.int32]:
    """Label the pieces of tissue.

    Parameters
    ----------
    tissue : ndarray of bool, shape (height, width)
        What pieces are made of.
    halo : ndarray of bool, shape (height, width)
        Of the tissue, what does not count at the border of a piece.
    left_out : ndarray of bool, shape (height, width)
        Neither pieces nor their holes reach over it.
    mpp : Mpp
        µm per pixel.
    settings : TissueSettings
        How tissue is found.

    Returns
    -------
    ndarray of int32, shape (height, width)
        0 outside tissue, 1 to n the pieces, each with the gaps narrower than `settings.join_um`
        and the holes narrower than `settings.fill_um`.
    """
    # taken away before and after closing: ink neither joins pieces nor is closed over
    whole = fill_narrow(tissue, settings.join_um, mpp) & ~left_out
    # before hairs are dropped: membranes as thin as they enclose tissue
    whole |= _narrow_holes(whole, settings.fill_um, mpp) & ~left_out
    whole = drop_narrow(whole, settings.min_width_um, mpp)
    trimmed = whole & ((tissue & ~halo) | _inner(whole, settings.smoothing_um, mpp))
    return label_large(trimmed, whole, tissue, settings.min_area_mm2 * 1e6 / (mpp.x * mpp.y))


def label_large(shown: Mask, pieces: Mask, tissue: Mask, least: float) -> NDArray[np.int32]:
    """Label the pieces that hold at least so many pixels of tissue.

    Parameters
    ----------
    shown, pieces, tissue : ndarray of bool, shape (height, width)
        Pieces are connected by sides and corners; only their pixels in `tissue` count, only those
        in `shown` are labelled.
    least : float
        Pixels of tissue.

    Returns
    -------
    ndarray of int32, shape (height, width)
        0 elsewhere, 1 to n the pieces kept.
    """
    labels, count = ndimage.label(pieces, np.ones((3, 3)))
    large = np.bincount(labels[tissue], minlength=count + 1) >= least
    large &= np.bincount(labels[shown], minlength=count + 1) > 0
    large[0] = False
    renumbered = np.where(large, np.cumsum(large), 0).astype(np.int32)
    kept: NDArray[np.int32] = np.where(shown, renumbered[labels], 0)
    return kept


def _narrow_holes(mask: Mask, width_um: float, mpp: Mpp) -> Mask:
    """Find the holes that are nowhere wider than a width; at the picture's edge there is none."""
    holes: Mask = ndimage.binary_fill_holes(mask) & ~mask
    if not holes.any():
        return holes
    labels, count = ndimage.label(holes)
    narrow = np.ones(count + 1, np.bool_)
    narrow[labels[erode(holes, width_um / 2, mpp)]] = False
    narrow[0] = False
    found: Mask = narrow[labels]
    return found


def _inner(mask: Mask, by_um: float, mpp: Mpp) -> Mask:
    """Keep what is further from the border than the blur reaches, by sides of squares."""
    size = [2 * round(REACH * by_um / pitch) + 1 for pitch in (mpp.y, mpp.x)]
    inner: Mask = ndimage.minimum_filter(mask, size, mode="nearest")
    return inner
