"""Masks to polygons: from labelled pixels of the overview to outlines in the level-0 frame."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from shapely import MultiPolygon, Polygon, affinity, box
from shapely.geometry.base import BaseGeometry
from skimage.measure import find_contours

from wsikd.geometry import Region

Outline = Polygon | MultiPolygon

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
_TOLERANCE_PX = 0.5  # of the overview: steps of one pixel become straight lines


def trace_outlines(labels: NDArray[np.int32], scale: tuple[float, float]) -> list[Outline]:
    """Trace the border of every piece.

    Parameters
    ----------
    labels : ndarray of int32, shape (height, width)
        0 outside tissue, 1 to n the pieces, each in one part or several.
    scale : tuple of float
        Level-0 pixels per overview pixel along x and y.

    Returns
    -------
    list of Polygon or MultiPolygon
        In level-0 pixels and the order of the labels; pixels are squares, so a piece that touches
        the slide's edge reaches it. Holes are inner rings.
    """
    outlines = []
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        parts = [
            affinity.translate(part, place[1].start, place[0].start)
            for part in _trace_parts(labels[place] == label)
        ]
        outline = parts[0] if len(parts) == 1 else MultiPolygon(parts)
        outlines.append(affinity.scale(outline, *scale, origin=(0, 0)))
    return outlines


def cut(outline: Outline, cells: list[Region]) -> list[tuple[Region, Outline]]:
    """Share a piece out among boxes.

    Boxes with hardly any tissue, under a twentieth of what the fullest has, are dropped.
    """
    parts = [
        polygons_of(outline.intersection(box(x, y, x + size.width, y + size.height)))
        for x, y, size in ((cell.x, cell.y, cell.size) for cell in cells)
    ]
    least = max(part.area for part in parts) / 20
    return [(cell, part) for cell, part in zip(cells, parts, strict=True) if part.area > least]


def polygons_of(geometry: BaseGeometry) -> Outline:
    """Keep what has an area: an intersection also gives the lines along which shapes touch.

    Examples
    --------
    >>> polygons_of(box(0, 0, 2, 2).intersection(box(2, 0, 4, 2))).is_empty
    True
    """
    if isinstance(geometry, Polygon | MultiPolygon):
        return geometry
    return MultiPolygon(
        [part for part in getattr(geometry, "geoms", ()) if isinstance(part, Polygon)]
    )


def _trace_parts(mask: NDArray[np.bool_]) -> list[Polygon]:
    parts, _ = ndimage.label(mask, _EIGHT_NEIGHBOURS)
    return [
        affinity.translate(_trace(parts[place] == part), place[1].start, place[0].start)
        for part, place in enumerate(ndimage.find_objects(parts), start=1)
    ]


def _trace(mask: NDArray[np.bool_]) -> Polygon:
    padded = np.pad(mask, 1).astype(np.float32)
    # a contour at 0.5 runs between pixel centres; 0.5 makes (0, 0) the first pixel's corner
    contours = find_contours(padded, 0.5, fully_connected="high")  # type: ignore[no-untyped-call]
    rings = [ring[:, ::-1] - 0.5 for ring in contours]
    shell, *holes = sorted(rings, key=lambda ring: np.ptp(ring[:, 0]), reverse=True)
    outline = Polygon(shell, holes).simplify(_TOLERANCE_PX)
    assert isinstance(outline, Polygon)  # topology is preserved
    return outline
