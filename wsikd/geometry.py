"""Sizes, regions and the arithmetic of µm per pixel and magnification.

The level-0 frame: x to the right, y down, in pixels of the slide's largest level, (0, 0) the top
left corner. `Size` is (width, height), the order of slides; arrays are (height, width, channels).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # shapely is absent where networks are trained or numbers are read
    from shapely import MultiPolygon, Polygon

Pixels = NDArray[np.uint8]  # an RGB image, (height, width, 3)

MPP_AT_1X = 10.0  # the field's convention: 10x is 1 µm per pixel


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def area(self) -> int:
        """How many pixels there are."""
        return self.width * self.height


class Mpp(NamedTuple):
    """µm per pixel along x and y."""

    x: float
    y: float


@dataclass(frozen=True)
class Region:
    """A rectangle: `x`, `y` in the level-0 frame, `size` in pixels of the level it is read at."""

    x: int
    y: int
    size: Size


@dataclass(frozen=True)
class TissueRegion:
    """One piece of tissue.

    Attributes
    ----------
    index : int
        Number of the piece on its slide, from 0.
    box : Region
        Its bounding box with padding, in the level-0 frame at level 0.
    outline : Polygon or MultiPolygon
        Its border in level-0 pixels, holes as inner rings.
    """

    index: int
    box: Region
    outline: "Polygon | MultiPolygon"

    @property
    def region_id(self) -> str:
        """Name of the piece on disk.

        Examples
        --------
        >>> from shapely import Polygon
        >>> box = Region(0, 0, Size(4, 4))
        >>> TissueRegion(7, box, Polygon()).region_id
        'region-007'
        """
        return f"region-{self.index:03d}"


@dataclass(frozen=True)
class PyramidLevel:
    """One magnification of a region: what it is called, its size, and its true resolution."""

    magnification: float
    size: Size
    mpp: Mpp


def magnification_to_mpp(magnification: float) -> float:
    """Compute the nominal µm per pixel of a magnification.

    Examples
    --------
    >>> magnification_to_mpp(1.25)
    8.0
    """
    return MPP_AT_1X / magnification


def mpp_to_magnification(mpp: float) -> float:
    """Compute the nominal magnification of µm per pixel.

    Examples
    --------
    >>> mpp_to_magnification(16.0)
    0.625
    """
    return MPP_AT_1X / mpp


def scaled_size(size: Size, source_mpp: Mpp, target_mpp: float) -> Size:
    """Compute the size of an image after it is brought to another resolution.

    The one rounding rule of wsikd: each side is extent / target, rounded half up, at least 1. The
    true scale of the result is therefore extent / side, which is what gets recorded.

    Examples
    --------
    >>> scaled_size(Size(1001, 30), Mpp(0.25, 0.25), 1.0)
    Size(width=250, height=8)
    """
    return Size(
        max(1, math.floor(size.width * source_mpp.x / target_mpp + 0.5)),
        max(1, math.floor(size.height * source_mpp.y / target_mpp + 0.5)),
    )


def format_magnification(magnification: float) -> str:
    """Write a magnification as people do.

    Examples
    --------
    >>> format_magnification(10.0), format_magnification(0.625)
    ('10x', '0.625x')
    """
    return f"{magnification:g}x"
