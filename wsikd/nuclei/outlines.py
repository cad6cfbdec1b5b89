"""The border of a mask along the sides of its pixels, and how many holes it has."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsikd.nuclei.objects import Mask

if TYPE_CHECKING:
    from shapely import Polygon

# four pixels that meet at a corner are 1 and 2 above, 4 and 8 below, added where they are true
_FALLING = 9
_TURNS = np.array([0, 1, 1, 0, 1, 0, 2, 1, 1, 2, 0, 1, 0, 1, 1, 0])
_EULER = np.array([0, 1, 1, 0, 1, 0, -2, -1, 1, -2, 0, -1, 0, -1, -1, 0])


def trace(mask: Mask, left: int = 0, top: int = 0) -> "Polygon":
    """Trace the border of pixels that hang together by their sides.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
        One component, no part of which hangs on by a corner alone.
    left, top : int
        Where the mask is.

    Returns
    -------
    Polygon
        Exactly its pixels, as squares of side 1: the area is their number. Holes are inner rings.

    Examples
    --------
    >>> trace(np.array([[True, True], [True, False]]), left=10).wkt
    'POLYGON ((10 0, 12 0, 12 1, 11 1, 11 2, 10 2, 10 0))'
    """
    from shapely import Polygon  # noqa: PLC0415

    shell, *holes = trace_rings(mask, left, top)
    return Polygon(shell, holes)


def trace_rings(mask: Mask, left: int = 0, top: int = 0) -> list[NDArray[np.int64]]:
    """Find the corners of the outer border, then of each hole; shape (n, 2) each, closed.

    Sorted along columns the corners are the ends of the border's vertical lines in pairs, sorted
    along rows those of its horizontal lines, so that following either in turn goes round it. Where
    two pixels touch by a corner alone two corners are in one place. As the pixels hang together
    elsewhere, what is between them is a hole on one side, and the turns are taken so that it gets a
    ring of its own: no ring touches itself.
    """
    x, y, met = _turns(mask)
    second = np.zeros(len(x), np.bool_)  # of two corners in one place
    second[1:] = (x[1:] == x[:-1]) & (y[1:] == y[:-1])
    down = np.lexsort((y, x))
    across = np.lexsort((second ^ (met == _FALLING), x, y))
    corners = np.stack([x + left, y + top], axis=1)
    return [corners[[*ring, ring[0]]] for ring in _follow(_pair(across), _pair(down))]


def count_holes(mask: Mask) -> int:
    """Count the holes of one component, by Gray's formula for the Euler number.

    Examples
    --------
    >>> count_holes(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool))
    1
    """
    met = np.bincount(_around(mask).ravel(), minlength=16)
    return 1 - int(met @ _EULER) // 4


def _turns(mask: Mask) -> NDArray[np.int64]:
    """Find x and y of the corners where the border turns and the pixels there; shape (3, n)."""
    around = _around(mask)
    turns = _TURNS[around]
    y, x = np.nonzero(turns)
    return np.repeat(np.stack([x, y, around[y, x]]), turns[y, x], axis=1)


def _around(mask: Mask) -> NDArray[np.uint8]:
    """Compute the number of the pixels about each corner, shape (height + 1, width + 1)."""
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2), np.uint8)  # np.pad would take most of the time
    padded[1:-1, 1:-1] = mask
    pairs = padded[:, :-1] + 2 * padded[:, 1:]
    around: NDArray[np.uint8] = pairs[:-1] + 4 * pairs[1:]
    return around


def _pair(order: NDArray[np.int64]) -> list[int]:
    """Find for each turn the other end of its line, from the turns in the order of their lines."""
    other = np.empty_like(order)
    other[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    partners: list[int] = other.tolist()
    return partners


def _follow(across: list[int], down: list[int]) -> list[list[int]]:
    """Go round each border; the first is the outer one, as it has the topmost turn."""
    rings, seen = [], [False] * len(across)
    for first in range(len(across)):
        ring, turn = [], first
        while not seen[turn]:
            far = across[turn]
            ring += [turn, far]
            seen[turn] = seen[far] = True
            turn = down[far]
        if ring:
            rings.append(ring)
    return rings
