"""How much of a patch is tissue: the share of rectangles that an outline covers, by numpy alone.

A machine that trains needs no geometry library for it. The area of a polygon within a rectangle is
the signed sum over its edges of the area between edge and rectangle's top, where the edge is cut at
the rectangle's sides and brought between its top and bottom (Green's theorem).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_DECIMALS = 9  # beyond them is rounding: a patch that is all tissue has a share of exactly 1


def covered(outline: Mapping[str, Any], boxes: Floats) -> Floats:
    """Compute the share of each rectangle that lies in an outline.

    Parameters
    ----------
    outline : mapping
        GeoJSON geometry, a Polygon or MultiPolygon that does not cross itself.
    boxes : ndarray of float, shape (n, 4)
        Left, top, right and bottom, in the outline's frame.

    Returns
    -------
    ndarray of float, shape (n,)

    Examples
    --------
    >>> square = {"type": "Polygon", "coordinates": [[(0, 0), (3, 0), (3, 4), (0, 4), (0, 0)]]}
    >>> covered(square, np.array([[2.0, 0.0, 4.0, 4.0]])).tolist()
    [0.5]
    """
    areas = np.zeros(len(boxes))
    for ring, is_hole in _rings(outline):
        inside = _area_within(np.asarray(ring, np.float64)[:, :2], boxes)
        areas += -inside if is_hole else inside
    left, top, right, bottom = boxes.T
    shares: Floats = np.round(areas / ((right - left) * (bottom - top)), _DECIMALS)
    return shares


def _rings(outline: Mapping[str, Any]) -> Iterator[tuple[ArrayLike, bool]]:
    """Yield every ring, and whether it is a hole."""
    coordinates = outline["coordinates"]
    for polygon in [coordinates] if outline["type"] == "Polygon" else coordinates:
        for place, ring in enumerate(polygon):
            yield ring, place > 0


def _area_within(ring: Floats, boxes: Floats) -> Floats:
    """Compute the area of a ring within each rectangle, column by column of rectangles."""
    areas = np.zeros(len(boxes))
    columns, of_column = np.unique(boxes[:, [0, 2]], axis=0, return_inverse=True)
    for number, (left, right) in enumerate(columns):
        edges, widths = _between(ring, left, right)
        places = np.flatnonzero(of_column.ravel() == number)
        if len(edges):
            heights = _mean_heights(edges, boxes[places, 1], boxes[places, 3])
            areas[places] = np.abs(heights @ widths)
    return areas


def _between(ring: Floats, left: float, right: float) -> tuple[Floats, Floats]:
    """Cut the edges of a ring at two vertical lines.

    Returns
    -------
    edges : ndarray of float, shape (m, 2)
        y at both ends of what lies between.
    widths : ndarray of float, shape (m,)
        How far each goes to the right; negative to the left.
    """
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    first, last = np.clip(x0, left, right), np.clip(x1, left, right)
    kept = first != last  # the rest lies outside, or is vertical and covers nothing
    x0, y0, x1, y1, first, last = (of[kept] for of in (x0, y0, x1, y1, first, last))
    slope = (y1 - y0) / (x1 - x0)
    ends = np.stack([y0 + slope * (first - x0), y0 + slope * (last - x0)], axis=1)
    return ends, last - first


def _mean_heights(edges: Floats, top: Floats, bottom: Floats) -> Floats:
    """Average how far below `top` each edge is, when brought between top and bottom.

    Parameters
    ----------
    edges : ndarray of float, shape (m, 2)
    top, bottom : ndarray of float, shape (n,)

    Returns
    -------
    ndarray of float, shape (n, m)
    """
    low, high = edges.min(axis=1), edges.max(axis=1)
    rise = np.where(high > low, high - low, 1.0)
    top, bottom = top[:, None], bottom[:, None]
    within = np.clip(high, top, bottom) - np.clip(low, top, bottom)  # of the rise
    below = np.clip(high - bottom, 0.0, rise) / rise
    middle = (np.clip(high, top, bottom) + np.clip(low, top, bottom)) / 2 - top
    heights: Floats = below * (bottom - top) + within / rise * middle
    flat = np.clip(low, top, bottom) - top
    return np.where(high > low, heights, flat)
