"""Masks to polygons: from labelled pixels of the overview to outlines in the level-0 frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from shapely import MultiPolygon, Polygon, affinity, box
from shapely.geometry.base import BaseGeometry
from skimage.measure import find_contours

from wsikd.geometry import Region

Outline = Polygon | MultiPolygon

_TOLERANCE_PX = 0.3  # of the overview: steps of one pixel become straight lines
_CRUMB = 0.1  # a crumb has at most this share of the area of the piece it belongs to
_CHIP = 0.005  # part of a piece with less than this share of its largest part is not drawn
_EMPTY = 0.05  # a box with less than this share of the fullest box's tissue is dropped


def trace_outlines(labels: NDArray[np.int32], scale: tuple[float, float]) -> list[Outline]:
    """Trace the border of every piece.

    Parameters
    ----------
    labels : ndarray of int32, shape (height, width)
        0 outside tissue, 1 to n the pieces.
    scale : tuple of float
        Level-0 pixels per overview pixel along x and y.

    Returns
    -------
    list of Polygon or MultiPolygon
        In level-0 pixels and the order of the labels. Pixels are squares, so a piece that touches
        the slide's edge reaches it. Holes are inner rings. Parts of a piece that do not touch, at
        sides or corners, are several polygons, without chips.
    """
    return [
        affinity.affine_transform(
            _trace_parts(labels[rows, columns] == label),
            [scale[0], 0, 0, scale[1], columns.start * scale[0], rows.start * scale[1]],
        )
        for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1)
    ]


def gather_crumbs(pieces: Sequence[Outline]) -> list[Outline]:
    """Add small pieces to the large one whose bounding box they reach into.

    A region is a rectangle, so such a crumb is in the picture of the large piece anyway; as a
    region of its own it would be seen twice.

    Examples
    --------
    >>> ring = box(0, 0, 100, 100) - box(10, 10, 90, 90)
    >>> crumb, alone = box(50, 50, 60, 60), box(200, 0, 210, 10)
    >>> [outline.area for outline in gather_crumbs([ring, crumb, alone])]
    [3700.0, 100.0]
    """
    hosts: list[list[Outline]] = []
    for piece in sorted(pieces, key=lambda piece: piece.area, reverse=True):
        host = next((parts for parts in hosts if _is_crumb(piece, parts[0])), None)
        if host is None:
            hosts.append([piece])
        else:
            host.append(piece)
    return [_as_one([part for piece in parts for part in parts_of(piece)]) for parts in hosts]


def edge_of(cell: Region) -> Polygon:
    """Return the outline of all of a box.

    Examples
    --------
    >>> from wsikd.geometry import Size
    >>> edge_of(Region(10, 20, Size(3, 4))).bounds
    (10.0, 20.0, 13.0, 24.0)
    """
    return box(cell.x, cell.y, cell.x + cell.size.width, cell.y + cell.size.height)


def cut(outline: Outline, cells: list[Region]) -> list[tuple[Region, Outline]]:
    """Share a piece out among boxes, leaving out the boxes with hardly any of it."""
    parts = [polygons_of(outline.intersection(edge_of(cell))) for cell in cells]
    least = _EMPTY * max(part.area for part in parts)
    return [(cell, part) for cell, part in zip(cells, parts, strict=True) if part.area >= least]


def polygons_of(geometry: BaseGeometry) -> Outline:
    """Keep what has an area: an intersection also gives the lines along which shapes touch.

    Examples
    --------
    >>> polygons_of(box(0, 0, 2, 2).intersection(box(2, 0, 4, 2))).is_empty
    True
    """
    if isinstance(geometry, Polygon | MultiPolygon):
        return geometry
    parts = getattr(geometry, "geoms", ())
    return MultiPolygon([part for part in parts if isinstance(part, Polygon)])


def parts_of(outline: Outline) -> list[Polygon]:
    """Return the polygons of an outline."""
    return list(outline.geoms) if isinstance(outline, MultiPolygon) else [outline]


def _as_one(parts: list[Polygon]) -> Outline:
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _trace_parts(mask: NDArray[np.bool_]) -> Outline:
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    least = _CHIP * sizes[1:].max()
    return _as_one(
        [
            affinity.translate(_trace(labels[rows, columns] == label), columns.start, rows.start)
            for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1)
            if sizes[label] >= least
        ]
    )


def _trace(mask: NDArray[np.bool_]) -> Polygon:
    padded = np.pad(mask, 1).astype(np.float32)
    contours = find_contours(padded, 0.5, fully_connected="high")  # type: ignore[no-untyped-call]
    # contours run between pixel centres; less 0.5, (0, 0) is the corner of the mask's first pixel
    rings = [contour[:, ::-1] - 0.5 for contour in contours]
    shell, *holes = sorted(rings, key=lambda ring: np.ptp(ring[:, 0]), reverse=True)
    outline = Polygon(shell, holes).simplify(_TOLERANCE_PX)
    assert isinstance(outline, Polygon)  # simplify keeps the topology
    return outline


def _is_crumb(piece: Outline, host: Outline) -> bool:
    return piece.area <= _CRUMB * host.area and box(*host.bounds).intersects(piece)
