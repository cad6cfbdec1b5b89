"""What preparing a slide would write and how long it would take, estimated from a few samples.

Nothing is written. The tissue is searched as it will be; a few squares of it are brought to all
magnifications and compressed as they would be, and what that took is applied to all regions.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from shapely import clip_by_rect

from wsikd.config import Settings
from wsikd.geometry import (
    Mpp,
    Pixels,
    Region,
    Size,
    TissueRegion,
    format_magnification,
    scaled_size,
)
from wsikd.prepare.settings import SlideSettings
from wsikd.pyramid.levels import build_pyramid, left_out, plan_levels
from wsikd.slides import SlideReader
from wsikd.store import THUMBNAIL_SIDE
from wsikd.store.sizes import stored_bytes

_SIDE = 2048  # of a square, in level-0 pixels: long against what each costs beside its pixels
_SQUARES = 12
_ENOUGH_S = 1.0  # of samples, once there are the least
_LEAST_SQUARES = 3
_PNG = 0.7  # of the bytes of zstd, as PNG foretells pixels from their neighbours


class LevelEstimate(Settings):
    """One magnification of all regions of a slide."""

    magnification: float
    pixels: int
    bytes: int


class Estimate(Settings):
    """What preparing a slide would write; `bytes` and `seconds` are estimates."""

    regions: int
    region_pixels: int
    """Level-0 pixels of the regions' boxes, which are read."""
    slide_pixels: int
    thumbnail_pixels: int
    levels: tuple[LevelEstimate, ...]
    seconds: float
    """On this machine, one slide at a time."""
    left_out: tuple[str, ...]
    """What the slide has and would not be stored, and why."""

    @property
    def bytes(self) -> int:
        """On disk, of all magnifications and the thumbnail."""
        coarsest = self.levels[-1]
        share = min(1.0, self.region_pixels / self.slide_pixels)
        thumbnail = _PNG * self.thumbnail_pixels * share * coarsest.bytes / coarsest.pixels
        return sum(level.bytes for level in self.levels) + round(thumbnail)


class Square(NamedTuple):
    """A part of a region's box, and how many level-0 pixels of it are within the outline."""

    box: Region
    tissue: float


class Sample(NamedTuple):
    """What a square took: its level-0 pixels, seconds, and bytes by magnification."""

    pixels: int
    tissue: float
    seconds: float
    bytes: dict[float, int]


def estimate_slide(
    reader: SlideReader,
    mpp: Mpp,
    regions: Sequence[TissueRegion],
    settings: SlideSettings,
    search_seconds: float,
) -> Estimate:
    """Estimate what preparing a slide would write.

    Parameters
    ----------
    reader : SlideReader
        Open slide.
    mpp : Mpp
        µm per level-0 pixel.
    regions : sequence of TissueRegion
        Its tissue.
    settings : SlideSettings
        How it would be prepared.
    search_seconds : float
        What finding the tissue took.

    Raises
    ------
    SlideError
        If the slide is too coarse for every magnification, or cannot be decoded.
    """
    missing = left_out(plan_levels(reader.size, mpp, settings.pyramid), settings.pyramid)
    samples = list(_take_samples(reader, mpp, regions, settings))
    area = sum(map(_pixels, regions))
    rate = sum(one.seconds for one in samples) / sum(one.pixels for one in samples)
    slide_pixels = reader.size.width * reader.size.height
    coarser = f"the slide's own {max(mpp):g} µm per pixel is coarser"
    return Estimate(
        regions=len(regions),
        region_pixels=area,
        slide_pixels=slide_pixels,
        thumbnail_pixels=_thumbnail_pixels(reader.size, mpp),
        levels=tuple(_levels(mpp, regions, samples, settings)),
        # the thumbnail reads the slide as the search does
        seconds=round(2 * search_seconds + rate * area, 1),
        left_out=(
            *(f"{format_magnification(value)}, {coarser}" for value in missing),
            *_outside(area, slide_pixels),
        ),
    )


def _thumbnail_pixels(size: Size, mpp: Mpp) -> int:
    longest = max(size.width * mpp.x, size.height * mpp.y)
    width, height = scaled_size(size, mpp, max(*mpp, longest / THUMBNAIL_SIDE))
    return width * height


def _outside(area: int, slide_pixels: int) -> Iterator[str]:
    share = 1 - area / slide_pixels
    if share >= 0.005:
        yield f"{100 * share:.0f} % of the slide, in the box of no region"


def _levels(
    mpp: Mpp,
    regions: Sequence[TissueRegion],
    samples: Sequence[Sample],
    settings: SlideSettings,
) -> Iterator[LevelEstimate]:
    weights = _weigh(regions, samples)
    pixels: dict[float, int] = {}
    for region in regions:
        for level in plan_levels(region.box.size, mpp, settings.pyramid):
            count = level.size.width * level.size.height
            pixels[level.magnification] = pixels.get(level.magnification, 0) + count
    for magnification, count in pixels.items():
        found = np.dot(weights, [one.bytes[magnification] for one in samples])
        yield LevelEstimate(magnification=magnification, pixels=count, bytes=round(found))


def _weigh(regions: Sequence[TissueRegion], samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Compute for how many of its like each sample stands.

    The weights nearest to equal ones by which the samples have as many pixels, and as many of
    tissue, as all regions: tissue takes many more bytes than the glass in a region's corners, and
    how much there is of each is known [1]_.

    References
    ----------
    .. [1] Deville, Särndal. "Calibration estimators in survey sampling". 1992.
           doi:10.1080/01621459.1992.10475217.
    """
    known = np.array([(one.pixels, one.tissue) for one in samples], float)  # (samples, 2)
    wanted = np.array([sum(map(_pixels, regions)), sum(map(_tissue, regions))], float)
    equal = np.full(len(samples), wanted[0] / known[:, 0].sum())
    missing = wanted - equal @ known
    weights: NDArray[np.float64] = equal + np.linalg.pinv(known.T, rcond=0.05) @ missing
    return weights.clip(min=0)


def _pixels(region: TissueRegion) -> int:
    return region.box.size.width * region.box.size.height


def _tissue(region: TissueRegion) -> float:
    return float(region.outline.area)


def _take_samples(
    reader: SlideReader, mpp: Mpp, regions: Sequence[TissueRegion], settings: SlideSettings
) -> Iterator[Sample]:
    squares = _choose_squares(reader, regions)
    _sample(reader, mpp, squares[0], settings)  # what is done once in a process counts for nothing
    start = time.perf_counter()
    for count, square in enumerate(squares):
        if count >= _LEAST_SQUARES and time.perf_counter() - start > _ENOUGH_S:
            return
        yield _sample(reader, mpp, square, settings)


def _sample(reader: SlideReader, mpp: Mpp, square: Square, settings: SlideSettings) -> Sample:
    levels = plan_levels(square.box.size, mpp, settings.pyramid)
    start = time.perf_counter()
    strips: list[list[Pixels]] = [[] for _ in levels]
    for index, rows in build_pyramid(reader, square.box, levels, settings.pyramid.kernel):
        strips[index].append(rows)
    sizes = [stored_bytes(np.concatenate(parts), settings.ngff) for parts in strips]
    seconds = time.perf_counter() - start
    width, height = square.box.size
    names = [level.magnification for level in levels]
    return Sample(width * height, square.tissue, seconds, dict(zip(names, sizes, strict=True)))


def _choose_squares(reader: SlideReader, regions: Sequence[TissueRegion]) -> list[Square]:
    """Choose squares that lie evenly among all, in a random order that is the same every time."""
    squares = [
        (square, region) for region in regions for square in _divide(region.box, reader.tile_size)
    ]
    count = min(_SQUARES, len(squares))
    chosen = [squares[int((index + 0.5) * len(squares) / count)] for index in range(count)]
    order = np.random.default_rng(0).permutation(count)
    return [_with_tissue(*chosen[index]) for index in order]


def _with_tissue(box: Region, region: TissueRegion) -> Square:
    sides = (box.x, box.y, box.x + box.size.width, box.y + box.size.height)
    return Square(box, clip_by_rect(region.outline, *sides).area)


def _divide(box: Region, tile: Size) -> Iterator[Region]:
    """Divide a box into squares that begin and end with tiles, as the strips do that are read."""
    for y, below in pairwise(_edges(box.y, box.size.height, tile.height)):
        for x, right in pairwise(_edges(box.x, box.size.width, tile.width)):
            yield Region(x, y, Size(right - x, below - y))


def _edges(start: int, length: int, tile: int) -> list[int]:
    step = max(1, round(_SIDE / tile)) * tile
    inner = range((start // step + 1) * step, start + length, step)
    return [start, *inner, start + length]
