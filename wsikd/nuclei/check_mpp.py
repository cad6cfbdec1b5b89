"""Whether the µm per pixel that a slide states can be right, by the size of its nuclei.

Nuclei of most tissues are 6 to 10 µm wide, so a resolution that is wrong by a factor of two shows,
if nuclei are measured by something that does not take their size for granted. Three things see to
that. The threshold of each tile comes from its own stain. What is cut, dropped and divided in the
mask is so in proportion to how thick the mask is, not in µm. And a slide whose pixels are said to
be too large is not judged magnified, where its nuclei fall to pieces: it is judged at twice the µm
per pixel that the model learnt at, where nuclei have the size it knows if the suspicion is right.
Where the two measurements differ by more than a factor of two, the model does not find nuclei there
and nothing is reported.

A slide coarser than the model's own resolution is judged less well. docs/evidence.md says how often
it is right; `tests/benchmarks/measure_check_mpp.py` counts.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsikd.data.fields.field import Colour
from wsikd.data.fields.opening import slide_light
from wsikd.errors import ConfigError
from wsikd.geometry import Mpp, Pixels, Region, Size, TissueRegion
from wsikd.nuclei.channel import haematoxylin
from wsikd.nuclei.instances import find_instances
from wsikd.nuclei.objects import Mask, ObjectSettings, smooth
from wsikd.nuclei.trained import Segmenter
from wsikd.pyramid.resample import resample

if TYPE_CHECKING:
    from wsikd.slides import SlideReader

SMALLEST_UM, LARGEST_UM = 4.0, 9.0
"""Median diameters below and above which a stated resolution is doubted, in µm."""

_USUAL_UM = 8.0
_LOOKED_AT, _TILES = 64, 16
_SIDE = 512  # px of the resolution that the model learnt at
_BRIGHT, _MOST_GLASS = 0.85 * 255, 0.2  # in all channels; of a tile's pixels
_LEAST_TISSUE = 0.5  # of a tile
_COARSEST = 2.5  # times what the model learnt at: a doubled resolution still is judged
_LEAST_NUCLEI, _MOST_APART = 30, 2.0
_RAW = ObjectSettings(smooth=False)


class MppCheck(NamedTuple):
    """What nuclei tell about a stated resolution."""

    diameter_um: float | None
    """Their median at the resolution that the model learnt at; None if that tells nothing."""
    diameter_coarse_um: float | None
    """Their median at twice its µm per pixel."""
    nuclei: int
    """How many were measured at the former."""
    tiles: int
    """Of 512 px, how many were measured."""
    warning: str | None
    """What is probably wrong and what to do; None if nothing is."""
    unjudged: str | None = None
    """Why nothing can be told; None if something can."""


def check_mpp(
    reader: "SlideReader", mpp: Mpp, tissue: Sequence[TissueRegion], segmenter: Segmenter
) -> MppCheck:
    """Measure the nuclei of a slide, and doubt its µm per pixel if they are half or twice as wide.

    Up to 64 tiles of its tissue are read, spread evenly, and the 16 with the most haematoxylin
    measured.

    Parameters
    ----------
    reader : SlideReader
        Open slide.
    mpp : Mpp
        µm per level-0 pixel as stated.
    tissue : sequence of TissueRegion
        What `wsikd.tissue.find_tissue` found with that.
    segmenter : Segmenter
        A model that learnt at a known resolution.

    Raises
    ------
    ConfigError
        If the model's resolution is unknown.
    SlideError
        If the slide cannot be decoded.
    """
    if segmenter.mpp is None:
        raise ConfigError(
            f"--model {segmenter.run} must have learnt at a known µm per pixel, and its images had "
            "none; train one on slides, or on images with --mpp"
        )
    if max(mpp) > _COARSEST * segmenter.mpp:
        reason = (
            f"{max(mpp):.4g} µm per pixel are too coarse for a model that learnt at "
            f"{segmenter.mpp:.4g}"
        )
        return MppCheck(None, None, 0, 0, None, reason)
    places = list(_choose(mpp, tissue, segmenter.mpp))
    tiles = _richest([reader.read(place) for place in places])
    light = slide_light(reader, mpp)
    fine = _measure(_bring(tiles, mpp, segmenter.mpp), segmenter, light)
    coarse = 2 * _measure(_bring(tiles, mpp, 2 * segmenter.mpp), segmenter, light)
    middle, middle_coarse = (
        float(np.median(each)) if len(each) >= _LEAST_NUCLEI else math.nan
        for each in (fine, coarse)
    )
    if not 1 / _MOST_APART < middle / middle_coarse < _MOST_APART:
        reason = "too few nuclei were found, or not the same at both resolutions"
        return MppCheck(None, None, len(fine), len(tiles), None, reason)
    warning = doubt(math.sqrt(mpp.x * mpp.y), middle, middle_coarse)
    return MppCheck(middle, middle_coarse, len(fine), len(tiles), warning)


def doubt(mpp: float, diameter_um: float, diameter_coarse_um: float) -> str | None:
    """Write in which direction a resolution is probably wrong, if it is.

    Examples
    --------
    >>> doubt(0.25, 6.0, 7.0) is None
    True
    >>> print(doubt(0.5, 9.0, 12.3))
    stated mpp 0.5 is probably about 2 times too large: the median nucleus would be 12.3 µm, of \
6 to 10 expected; check the scanner or give --mpp 0.25
    """
    if diameter_coarse_um > LARGEST_UM:
        return _warn(mpp, "large", diameter_coarse_um, mpp / 2)
    if diameter_um < SMALLEST_UM:
        return _warn(mpp, "small", diameter_um, mpp * 2)
    return None


def _warn(mpp: float, how: str, diameter_um: float, better: float) -> str:
    return (
        f"stated mpp {mpp:.4g} is probably about 2 times too {how}: the median nucleus would be "
        f"{diameter_um:.1f} µm, of 6 to 10 expected; check the scanner or give --mpp {better:.4g}"
    )


def _choose(mpp: Mpp, tissue: Sequence[TissueRegion], at: float) -> Iterator[Region]:
    """Choose tiles of a grid over the tissue, evenly among those that are half tissue or more."""
    wide, high = (max(1, round(_SIDE * at / each)) for each in mpp)
    found = [place for piece in tissue for place in _grid(piece, wide, high)]
    shares = np.array([share for share, _ in found])
    full = np.flatnonzero(shares >= min(_LEAST_TISSUE, shares.max()))
    for index in np.unique(np.linspace(0, len(full) - 1, _LOOKED_AT).round().astype(int)):
        yield found[full[index]][1]


def _grid(piece: TissueRegion, wide: int, high: int) -> Iterator[tuple[float, Region]]:
    """Cut a piece's box into tiles; yield the share of tissue in each, and its place."""
    import shapely  # noqa: PLC0415

    box, size = piece.box, piece.box.size
    wide, high = min(wide, size.width), min(high, size.height)
    for y in range(box.y, box.y + size.height - high + 1, high):
        for x in range(box.x, box.x + size.width - wide + 1, wide):
            part = shapely.intersection(piece.outline, shapely.box(x, y, x + wide, y + high))
            yield float(shapely.area(part)) / (wide * high), Region(x, y, Size(wide, high))


def _richest(tiles: Sequence[Pixels]) -> list[Pixels]:
    """Keep the tiles with the most haematoxylin: others have few nuclei or, half glass, none."""
    thin = [tile[::4, ::4] for tile in tiles]
    glass = np.array([(tile > _BRIGHT).all(axis=2).mean() for tile in thin])
    stain = np.array([np.percentile(haematoxylin(tile), 90) for tile in thin])
    order = np.lexsort((-stain, glass > max(_MOST_GLASS, glass.min())))
    return [tiles[index] for index in order[:_TILES]]


def _bring(tiles: Sequence[Pixels], mpp: Mpp, at: float) -> list[Pixels]:
    """Bring tiles to a resolution, also to a finer one."""
    return [
        resample(
            tile,
            Size(
                max(1, round(tile.shape[1] * mpp.x / at)), max(1, round(tile.shape[0] * mpp.y / at))
            ),
        )
        for tile in tiles
    ]


def _measure(tiles: list[Pixels], segmenter: Segmenter, light: Colour) -> NDArray[np.float64]:
    """Measure the diameters of nuclei, in µm if a pixel is what the model learnt at."""
    assert segmenter.mpp is not None
    side = segmenter.mpp
    suited = [segmenter.adapted([tile], light) for tile in tiles]
    masks = [
        each.mask(each.confidence(tile, light), _RAW, None)
        for each, tile in zip(suited, tiles, strict=True)
    ]
    relative = max(_thickness(masks, side) / _USUAL_UM, 0.2)
    assumed = Mpp(side / relative, side / relative)  # at which nuclei are of the usual size
    return np.array(
        [
            nucleus.diameter_px * side
            for mask in masks
            for nuclei, _ in find_instances([smooth(mask, assumed)], ObjectSettings(), assumed)
            for nucleus in nuclei
        ]
    )


def _thickness(masks: Sequence[Mask], side: float) -> float:
    """Compute the mean diameter of what masks show: of a disk, six times the mean depth."""
    smoothed = [smooth(mask, Mpp(side, side)) for mask in masks]
    depth = sum(ndimage.distance_transform_edt(np.pad(mask, 1)).sum() for mask in smoothed)
    return 6 * side * float(depth) / max(1, sum(np.count_nonzero(mask) for mask in smoothed))
