"""One region at several magnifications, each by one resampling directly from level 0.

No magnification is made from another: a chain of reductions blurs and shifts, and the papers'
protocol is "directly from the original scan".
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from wsikd.config import Settings
from wsikd.errors import SlideError
from wsikd.geometry import (
    Mpp,
    PyramidLevel,
    Region,
    Size,
    format_magnification,
    magnification_to_mpp,
    scaled_size,
)
from wsikd.pyramid.kernels import KernelName
from wsikd.pyramid.resample import StripResampler
from wsikd.pyramid.strips import iter_strips
from wsikd.slides.reader import SlideReader

MAX_COARSER = 1.10
"""A slide up to this much coarser than a magnification serves it at its own resolution."""


class PyramidSettings(Settings):
    """Which magnifications are made of each region, and how."""

    magnifications: tuple[float, ...] = Field(
        (10.0, 5.0, 2.5, 1.25, 0.625),
        description="magnifications to make; 10x is 1 µm per pixel",
    )
    kernel: KernelName = Field("lanczos", description="anti-aliased resampling kernel")

    @field_validator("magnifications")
    @classmethod
    def _descending(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not values or min(values) <= 0 or max(values) > 400:
            raise ValueError(f"must be one or more numbers above 0 and at most 400, got {values}")
        return tuple(sorted(set(values), reverse=True))


def plan_levels(size: Size, mpp: Mpp, settings: PyramidSettings) -> list[PyramidLevel]:
    """List which magnifications a region gets, at what size and true resolution.

    A slide up to 10 % coarser than a magnification serves it at its own resolution, never
    upsampled; magnifications finer than that are left out.

    Parameters
    ----------
    size : Size
        Size of the region at level 0.
    mpp : Mpp
        µm per level-0 pixel.

    Raises
    ------
    SlideError
        If the slide is too coarse for all of them.

    Examples
    --------
    >>> asked = PyramidSettings(magnifications=(10, 5))
    >>> [level.magnification for level in plan_levels(Size(400, 400), Mpp(2.1, 2.1), asked)]
    [5.0]
    """
    levels = []
    for magnification in settings.magnifications:
        target = magnification_to_mpp(magnification)
        if max(mpp) > target * MAX_COARSER:
            continue
        own = max(mpp) > target
        wanted = size if own else scaled_size(size, mpp, target)
        true = Mpp(mpp.x * size.width / wanted.width, mpp.y * size.height / wanted.height)
        levels.append(PyramidLevel(magnification, wanted, true))
    if not levels:
        asked = ", ".join(format_magnification(value) for value in settings.magnifications)
        raise SlideError(
            f"the slide's {max(mpp):g} µm per pixel is too coarse for every magnification asked "
            f"for ({asked}); ask for lower ones with --pyramid.magnifications"
        )
    return levels


def left_out(levels: Sequence[PyramidLevel], settings: PyramidSettings) -> list[float]:
    """Return the magnifications asked for that the slide is too coarse for."""
    made = {level.magnification for level in levels}
    return [value for value in settings.magnifications if value not in made]


def build_pyramid(
    reader: SlideReader, box: Region, levels: Sequence[PyramidLevel], kernel: str = "lanczos"
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Make all magnifications of a region in one pass over its level-0 pixels.

    Parameters
    ----------
    reader : SlideReader
        Open slide.
    box : Region
        The region in the level-0 frame, at level 0.
    levels : sequence of PyramidLevel
        What `plan_levels` gave for the region.
    kernel : str
        One of `wsikd.pyramid.kernels.KERNELS`.

    Yields
    ------
    index : int
        Position in `levels`.
    rows : ndarray of uint8, shape (n, levels[index].size.width, 3)
        The next rows of that magnification, from the top. Only a strip of the region is held, so
        memory does not grow with the region's height.
    """
    resamplers = [StripResampler(box.size, level.size, kernel) for level in levels]
    for strip in iter_strips(reader, box):
        for index, resampler in enumerate(resamplers):
            rows = resampler.push(strip)
            if len(rows):
                yield index, rows
