"""From a mask to single nuclei: components, divided where nuclei touch.

Each component is divided alone, by a watershed from the maxima of its smoothed distance to the
background, so that no seam exists wherever the rows of the mask were cut.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from wsikd.geometry import Mpp
from wsikd.nuclei.components import Component, find_components
from wsikd.nuclei.objects import Mask, ObjectSettings, pixel_side
from wsikd.nuclei.outlines import count_holes, trace

if TYPE_CHECKING:
    from shapely import Polygon

_SMOOTHING = 0.25  # sigma, as a share of the least distance between centres


@dataclass(frozen=True)
class Nucleus:
    """One nucleus of a field; positions and lengths are in the field's pixels.

    Attributes
    ----------
    left, top : int
        Where its rectangle is.
    mask : ndarray of bool, shape (height, width)
        Its pixels in the rectangle.
    """

    left: int
    top: int
    mask: Mask

    @cached_property
    def area_px(self) -> int:
        return int(np.count_nonzero(self.mask))

    @property
    def diameter_px(self) -> float:
        """Diameter of the circle of its area."""
        return 2 * math.sqrt(self.area_px / math.pi)

    @cached_property
    def centroid(self) -> tuple[float, float]:
        """Mean x and y of its pixels' centres; (0, 0) is the corner of the field's first pixel."""
        rows, columns = np.nonzero(self.mask)
        return self.left + float(columns.mean()) + 0.5, self.top + float(rows.mean()) + 0.5

    @property
    def outline(self) -> "Polygon":
        """Its border along the sides of its pixels; holes are inner rings."""
        return trace(self.mask, self.left, self.top)


def find_instances(
    rows: Iterable[Mask], settings: ObjectSettings, mpp: Mpp | None = None
) -> Iterator[tuple[list[Nucleus], int]]:
    """Find the nuclei of a mask that comes in rows.

    Holes smaller than the smallest nucleus are filled, touching nuclei divided, and what is then
    smaller than the smallest nucleus is left out. The nuclei do not depend on how the rows are cut,
    and what is held are components that the next row may touch.

    Parameters
    ----------
    rows : iterable of ndarray of bool, shape (any, width)
        From the top of the field.
    settings : ObjectSettings
        Smallest nucleus, and whether touching ones are divided.
    mpp : Mpp or None
        µm per pixel of the rows; None if unknown.

    Yields
    ------
    nuclei : list of Nucleus
        Those completed since the last.
    settled : int
        All nuclei that reach above this row have been yielded.
    """
    least = settings.min_area_um2 / pixel_side(mpp) ** 2
    distance = settings.min_distance_um / pixel_side(mpp) if settings.split else math.inf
    for components, settled in find_components(rows, least):
        found = [nucleus for each in components for nucleus in _divide(each, least, distance)]
        yield found, settled


def label_instances(
    mask: Mask, settings: ObjectSettings, mpp: Mpp | None = None
) -> NDArray[np.int32]:
    """Find the nuclei of a whole mask and number them.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
        Of all nuclei.
    settings : ObjectSettings
        As `find_instances` uses them.
    mpp : Mpp or None
        µm per pixel; None if unknown.

    Returns
    -------
    ndarray of int32, shape (height, width)
        0 is background, the nuclei are 1, 2, ...
    """
    labels = np.zeros(mask.shape, np.int32)
    nuclei = (nucleus for batch, _ in find_instances([mask], settings, mpp) for nucleus in batch)
    for number, nucleus in enumerate(nuclei, start=1):
        paint(labels, nucleus, number)
    return labels


def paint(canvas: NDArray[np.integer], nucleus: Nucleus, value: int, *, top: int = 0) -> None:
    """Set a nucleus' pixels to a value, on a canvas whose first row is `top` of the field."""
    height, width = nucleus.mask.shape
    above = nucleus.top - top
    place = canvas[above : above + height, nucleus.left : nucleus.left + width]
    place[nucleus.mask] = value


def _divide(component: Component, least: float, distance: float) -> Iterator[Nucleus]:
    left, top, mask = component.left, component.top, _fill(component.mask, least)
    parts = _split(mask, distance)
    if parts is None:
        nuclei = [Nucleus(left, top, mask)]
    else:
        nuclei = [
            Nucleus(left + columns.start, top + rows.start, parts[rows, columns] == number)
            for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1)
        ]
    return (nucleus for nucleus in nuclei if nucleus.area_px >= least)


def _fill(mask: Mask, least: float) -> Mask:
    """Fill the holes of a component that are smaller than the smallest nucleus."""
    if count_holes(mask) == 0:
        return mask
    holes, count = ndimage.label(np.pad(~mask, 1, constant_values=True))
    small = np.bincount(holes.ravel(), minlength=count + 1) < least
    small[[0, holes[0, 0]]] = False  # the component itself, and what is outside
    filled: Mask = mask | small[holes][1:-1, 1:-1]
    return filled


def _split(mask: Mask, distance: float) -> NDArray[np.int32] | None:
    """Divide a component into nuclei, numbered from 1; return None if it is one."""
    if math.hypot(*mask.shape) <= distance:
        return None
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2), np.bool_)  # what is beside the rectangle is outside
    padded[1:-1, 1:-1] = mask
    depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    depth = ndimage.gaussian_filter(depth, _SMOOTHING * distance, mode="constant")
    depth[~mask] = 0
    highest = ndimage.maximum_filter(depth, 2 * math.floor(distance) + 1, mode="constant")
    peaks = (highest == depth) & mask
    if np.count_nonzero(peaks) == 1:
        return None
    seeds, count = ndimage.label(peaks, np.ones((3, 3)))
    if count == 1:
        return None
    parts: NDArray[np.int32] = watershed(-depth, seeds, mask=mask)  # type: ignore[no-untyped-call]
    return parts
