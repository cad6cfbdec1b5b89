"""Discs moved over a mask: fill what is narrower than one, or take it away.

Exact, and many times faster than a distance transform: a disc is a stack of horizontal runs, so a
pixel is kept if in each row under the disc the run is inside the mask. Longer runs are made from
shorter ones, by two shifts of the picture each.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wsikd.geometry import Mpp

Mask = NDArray[np.bool_]


def fill_narrow(mask: Mask, width_um: float, mpp: Mpp) -> Mask:
    """Fill what is narrower than a width, with a disc: the morphological closing."""
    return erode(~erode(~mask, width_um / 2, mpp), width_um / 2, mpp)


def drop_narrow(mask: Mask, width_um: float, mpp: Mpp) -> Mask:
    """Take away what is narrower than a width, with a disc: the morphological opening."""
    return ~erode(~erode(mask, width_um / 2, mpp), width_um / 2, mpp)


def widen(mask: Mask, by_um: float, mpp: Mpp) -> Mask:
    """Add the pixels that are no further than a length from a mask."""
    return ~erode(~mask, by_um, mpp)


def erode(mask: Mask, radius_um: float, mpp: Mpp) -> Mask:
    """Keep the pixels of a mask that are further than a radius from any pixel outside it.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
        The picture's edge is not outside.
    radius_um : float
        Between the centres of pixels, in µm.
    mpp : Mpp
        µm per pixel.

    Returns
    -------
    ndarray of bool, shape (height, width)

    Examples
    --------
    >>> erode(np.array([[1, 1, 1, 0, 1, 1]], bool), 8.0, Mpp(8.0, 8.0)).tolist()
    [[True, True, False, False, False, True]]
    """
    kept, run, reach = mask.copy(), mask, 0
    for rows, columns in _shape_disc(radius_um, mpp):
        while reach < min(columns, mask.shape[1]):
            run, reach = _lengthen(run), reach + 1
        if rows == 0:
            kept &= run
        else:
            kept[rows:] &= run[:-rows]
            kept[:-rows] &= run[rows:]
    return kept


def _shape_disc(radius_um: float, mpp: Mpp) -> Iterator[tuple[int, int]]:
    """Yield the rows of half a disc from its rim to its centre: rows away, columns it reaches."""
    columns = 0
    for rows in range(int(radius_um / mpp.y) + 1, -1, -1):
        if _distance(rows, 0, mpp) > radius_um:  # division may round up to one row too many
            continue
        while _distance(rows, columns + 1, mpp) <= radius_um:
            columns += 1
        yield rows, columns


def _distance(rows: int, columns: int, mpp: Mpp) -> float:
    return math.sqrt((rows * mpp.y) ** 2 + (columns * mpp.x) ** 2)


def _lengthen(run: Mask) -> Mask:
    """Keep the pixels of runs whose neighbours left and right are of runs, too."""
    longer = run.copy()
    longer[:, 1:] &= run[:, :-1]
    longer[:, :-1] &= run[:, 1:]
    return longer
