"""The slides that partners are cut from: files, or regions of another store."""

import abc
import math
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wsikd.data.pairs.affine import Box, Window
from wsikd.errors import MissingResolutionError
from wsikd.geometry import Mpp, Region, Size
from wsikd.hashing import digest, file_fingerprint, files_fingerprint
from wsikd.pyramid.kernels import KERNELS
from wsikd.store import RegionRecord, RegionStore

if TYPE_CHECKING:
    from wsikd.slides import SlideReader

_MIB = 2**20
# of the widest kernel, in pixels of the result or the source, the coarser
_SUPPORT = max(kernel.support for kernel in KERNELS.values())


class PartnerSlide(abc.ABC):
    """A slide, measured in µm from its top left corner at level 0.

    Attributes
    ----------
    size_um : tuple of float
        Width and height.
    tolerance_um : float
        How far a rectangle may reach over the border: a pixel, as sizes are rounded.
    identity : str
        Hash of what the slide is.
    content : str
        Hash of its file, as `slide.json` has it.
    """

    size_um: tuple[float, float]
    tolerance_um: float
    identity: str
    content: str

    def holds(self, box: Box) -> bool:
        """Tell whether there are pixels for a whole rectangle."""
        spare, (width, height) = self.tolerance_um, self.size_um
        inside = min(box.left, box.top) >= -spare
        return inside and box.right <= width + spare and box.bottom <= height + spare

    @abc.abstractmethod
    def read(self, box: Box, mpp: float) -> Window:
        """Read a rectangle and what a kernel needs around it, as fine as `mpp` if the slide is."""

    @abc.abstractmethod
    def release(self) -> None:
        """Let go of file and memory until the next `read`."""


class FileSlide(PartnerSlide):
    """A slide file, or channels of a multi-channel TIFF.

    Parameters
    ----------
    path : Path
        What `open_slide` opens, or a TIFF with one plane per channel.
    channels : sequence of int or str
        One or three of such a TIFF.
    mpp : float, optional
        µm per level-0 pixel if the file states none; it wins over the file's.

    Raises
    ------
    MissingResolutionError
        If it is unknown how many µm a pixel is.
    SlideError, ConfigError
        If the file cannot be read, or lacks a channel.
    """

    def __init__(self, path: Path, channels: Sequence[int | str], mpp: float | None = None) -> None:
        from wsikd.slides import resolution_of  # noqa: PLC0415
        from wsikd.slides.planes import PlanesReader  # noqa: PLC0415

        self._path, self._channels = path, channels
        self._reader: SlideReader | None = None
        with self._open() as reader:
            try:
                self._mpp = resolution_of(reader, mpp=mpp).mpp
            except MissingResolutionError as error:
                reason = str(error).rpartition(";")[0]
                raise MissingResolutionError(f"{reason}; state it with --partner-mpp") from None
            self._size = reader.size
            chosen = reader.channels if isinstance(reader, PlanesReader) else ()
        self.size_um = (self._size.width * self._mpp.x, self._size.height * self._mpp.y)
        self.tolerance_um = max(self._mpp)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        self.content = files_fingerprint(files)
        self.identity = digest(
            [f"{self._mpp} {chosen}", *(file_fingerprint(file, _MIB) for file in files)]
        )

    def read(self, box: Box, mpp: float) -> Window:
        """Read from the coarsest level that is fine enough."""
        reader = self._reader = self._reader or self._open()
        level = self._level_for(reader, mpp)
        down_x, down_y = reader.level_downsamples[level]
        at = Mpp(self._mpp.x * down_x, self._mpp.y * down_y)
        part = _pixels_around(box, mpp, at, reader.level_sizes[level])
        corner = (round(part.x * down_x), round(part.y * down_y))
        pixels = reader.read(Region(*corner, part.size), level=level)
        return Window(pixels, part.x * at.x, part.y * at.y, at)

    def release(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def __del__(self) -> None:
        self.release()

    def _open(self) -> "SlideReader":
        from wsikd.slides import open_slide  # noqa: PLC0415
        from wsikd.slides.planes import PlanesReader, has_planes  # noqa: PLC0415

        if has_planes(self._path):
            return PlanesReader(self._path, self._channels)
        return open_slide(self._path)

    def _level_for(self, reader: "SlideReader", mpp: float) -> int:
        fine_enough = [
            level
            for level, (down_x, down_y) in enumerate(reader.level_downsamples)
            if max(self._mpp.x * down_x, self._mpp.y * down_y) <= mpp * 1.01  # rounded sizes
        ]
        return max(fine_enough, default=0)


class StoreSlide(PartnerSlide):
    """A slide of another region store: what lies in one of its regions.

    Parameters
    ----------
    store : RegionStore
        Holds it.
    slide_id : str
        Its name there.
    magnification : float
        Which level of the regions is read.

    Raises
    ------
    StoreError
        If the slide or the magnification is not there.
    """

    def __init__(self, store: RegionStore, slide_id: str, magnification: float) -> None:
        record = store.read_slide(slide_id)
        self._slide_id, self._mpp = slide_id, Mpp(*record.mpp)
        self._regions = [(region, region.level(magnification)) for region in record.regions]
        self.size_um = (record.width * self._mpp.x, record.height * self._mpp.y)
        self.tolerance_um = max(value for _, level in self._regions for value in level.mpp)
        self.content = record.source.sha256
        self.identity = digest([record.model_dump_json(), f"{magnification:g}"])
        read = partial(store.read_pixels, magnification=magnification)
        self._read_region = lru_cache(maxsize=1)(read)

    def holds(self, box: Box) -> bool:
        """Tell whether a rectangle lies in one of the regions."""
        return any(self._covers(region, box) for region, _ in self._regions)

    def read(self, box: Box, mpp: float) -> Window:
        """Read from the region that holds the rectangle."""
        region, level = next(found for found in self._regions if self._covers(found[0], box))
        pixels = self._read_region(self._slide_id, region.region_id)
        left, top, at = region.x * self._mpp.x, region.y * self._mpp.y, Mpp(*level.mpp)
        inner = Box(box.left - left, box.top - top, box.right - left, box.bottom - top)
        x, y, size = _pixels_around(inner, mpp, at, Size(level.width, level.height))
        cut = np.ascontiguousarray(pixels[y : y + size.height, x : x + size.width])
        return Window(cut, left + x * at.x, top + y * at.y, at)

    def release(self) -> None:
        """Forget the region in memory."""
        self._read_region.cache_clear()

    def _covers(self, region: RegionRecord, box: Box) -> bool:
        spare = self.tolerance_um
        left, top = region.x * self._mpp.x - spare, region.y * self._mpp.y - spare
        right = left + region.width * self._mpp.x + 2 * spare
        bottom = top + region.height * self._mpp.y + 2 * spare
        inside = box.left >= left and box.top >= top
        return inside and box.right <= right and box.bottom <= bottom


class _Part(NamedTuple):
    x: int
    y: int
    size: Size


def _pixels_around(box: Box, mpp: float, at: Mpp, limit: Size) -> _Part:
    """Find the pixels that a kernel needs for a rectangle sampled at `mpp`, if they are there."""
    margin_x, margin_y = (_SUPPORT * max(mpp, own) for own in at)
    left = max(0, math.floor((box.left - margin_x) / at.x))
    top = max(0, math.floor((box.top - margin_y) / at.y))
    right = min(limit.width, math.ceil((box.right + margin_x) / at.x))
    bottom = min(limit.height, math.ceil((box.bottom + margin_y) / at.y))
    return _Part(left, top, Size(right - left, bottom - top))
