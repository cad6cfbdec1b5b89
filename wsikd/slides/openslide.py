"""Slides through OpenSlide: most vendors' formats, and DICOM series."""

import math
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from wsikd.errors import SlideError, UnsupportedSlideError
from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.plain_tiff import PlainTiff
from wsikd.slides.reader import FileReader, on_white
from wsikd.slides.sniff import FileKind, dicom_files, is_dicom_volume
from wsikd.slides.stated import parse_number, unread, without_print
from wsikd.slides.tiles import UnsupportedError
from wsikd.slides.unscanned import MOST_CELLS, is_outside, share_of_cells

_PLAIN_TIFF = ("aperio", "generic-tiff")  # formats whose pixels other libraries read as well


class OpenSlideReader(FileReader):
    """Reads a slide with OpenSlide; it blends pixels where a corner falls between a level's.

    Parameters
    ----------
    path : Path
        The slide's file, or the folder of one DICOM series.
    """

    name = "openslide"

    @classmethod
    def suits(cls, path: Path, kind: FileKind) -> int:
        """Return 3 for DICOM and for what OpenSlide alone knows, 1 for plain kinds of TIFF.

        The index file of a MIRAX slide is a picture, too, so more is asked than the kind.
        """
        if kind == "dicom":
            return 3
        vendor = openslide.OpenSlide.detect_format(path)
        if vendor is None:
            return 0
        return 1 if vendor in _PLAIN_TIFF else 3

    def __init__(self, path: Path) -> None:
        self.path = path
        self._slide, self._file = _open_series(path) if path.is_dir() else (_open(path), path)
        properties = self._slide.properties
        self.format = properties[openslide.PROPERTY_NAME_VENDOR]
        self.version = f"openslide {openslide.__library_version__}"
        self.level_sizes = tuple(Size(*size) for size in self._slide.level_dimensions)
        # OpenSlide leaves out an mpp of Aperio that it cannot read
        aperio = properties.get("aperio.MPP")
        mpp_x = parse_number(properties.get(openslide.PROPERTY_NAME_MPP_X, aperio))
        mpp_y = parse_number(properties.get(openslide.PROPERTY_NAME_MPP_Y, aperio))
        self.stated_mpp = None if mpp_x is None or mpp_y is None else Mpp(mpp_x, mpp_y)
        if self.format == "generic-tiff":
            self.stated_mpp, self.notes = without_print(self.stated_mpp)
        self.objective_power = parse_number(
            properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER, properties.get("aperio.AppMag"))
        )
        self.notes += unread(properties, ("aperio.MPP", "aperio.AppMag"))
        self._tile_sizes = [
            _tile_size(self._slide, level) for level in range(len(self.level_sizes))
        ]
        self.tile_size = self._tile_sizes[0]
        self._tiff = self._open_tiff() if self.format in _PLAIN_TIFF else None
        self.notes += self._tiff.notes if self._tiff else ()

    def _open_tiff(self) -> PlainTiff:
        try:
            return PlainTiff(self._file, self.level_sizes)
        except UnsupportedError as error:
            self._slide.close()
            raise UnsupportedSlideError(
                f"{self.path}: unsupported by OpenSlide, got {error}; read it with another reader"
            ) from None

    def find_unscanned(self, size: Size) -> NDArray[np.bool_]:
        """Find the tiles that the file leaves out, what is transparent and outside its bounds."""
        if self._tiff is not None:  # where tiles alone are transparent, and may cost seconds
            return self._tiff.find_unscanned(size)
        unscanned = share_of_cells(self._transparency(), size) >= 0.5
        bounds = _bounds(self._slide)
        return unscanned if bounds is None else unscanned | is_outside(bounds, self.size, size)

    def _transparency(self) -> NDArray[np.bool_]:
        """Read where a low level is transparent, every n-th pixel if even that one is large."""
        sizes = self.level_sizes
        small = (level for level, size in enumerate(sizes) if math.prod(size) <= MOST_CELLS)
        level = next(small, len(sizes) - 1)
        width, height = sizes[level]
        step = math.ceil(math.sqrt(width * height / MOST_CELLS))
        down_y = self.level_downsamples[level][1]
        parts = []
        for top in range(0, height, 256 * step):
            strip = Size(width, min(256 * step, height - top))
            rgba = self._read_rgba(Region(0, round(top * down_y), strip), level)
            parts.append(rgba[::step, ::step, 3] == 0)
        return np.concatenate(parts)

    def _read(self, region: Region, level: int) -> Pixels:
        pixels = on_white(self._read_rgba(region, level))
        if self._tiff is not None:
            down_x, down_y = self.level_downsamples[level]
            corner = round(region.x / down_x), round(region.y / down_y)
            for place, size, reason in self._tiff.find_damage(corner, region.size, level):
                self._note_damage(level, place, size, reason)
                x, y = place[0] - corner[0], place[1] - corner[1]
                pixels[max(0, y) : y + size.height, max(0, x) : x + size.width] = 255
        return pixels

    def _read_rgba(self, region: Region, level: int) -> Pixels:
        try:
            return np.asarray(self._slide.read_region((region.x, region.y), level, region.size))
        except openslide.OpenSlideError:
            self._reopen()
        return self._read_by_tiles(region, level)

    def _read_by_tiles(self, region: Region, level: int) -> Pixels:
        """Read a region tile by tile, as one of them is damaged; that one is white."""
        tile, (down_x, down_y) = self._tile_sizes[level], self.level_downsamples[level]
        left, top = round(region.x / down_x), round(region.y / down_y)
        right, bottom = left + region.size.width, top + region.size.height
        rgba = np.full((region.size.height, region.size.width, 4), 255, np.uint8)
        for y in range(top // tile.height * tile.height, bottom, tile.height):
            for x in range(left // tile.width * tile.width, right, tile.width):
                # of the tile what lies in the region, in pixels from its corner
                x0, x1 = max(x, left) - left, min(x + tile.width, right) - left
                y0, y1 = max(y, top) - top, min(y + tile.height, bottom) - top
                corner = region.x + round(x0 * down_x), region.y + round(y0 * down_y)
                try:
                    part = self._slide.read_region(corner, level, (x1 - x0, y1 - y0))
                except openslide.OpenSlideError as error:
                    self._reopen()
                    self._note_damage(level, (x, y), tile, str(error))
                    continue
                rgba[y0:y1, x0:x1] = np.asarray(part)
        return rgba

    def _reopen(self) -> None:
        """Open the file anew: after an error a handle repeats it for ever."""
        self._slide.close()
        self._slide = _open(self._file)

    def _close(self) -> None:
        self._slide.close()
        if self._tiff is not None:
            self._tiff.close()


def _tile_size(slide: openslide.OpenSlide, level: int) -> Size:
    width, height = (
        int(slide.properties.get(f"openslide.level[{level}].tile-{side}", 256))
        for side in ("width", "height")
    )
    return Size(width, height)


def _open(path: Path) -> openslide.OpenSlide:
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError:
        raise SlideError(f"{path}: no format that OpenSlide knows, or a damaged file") from None
    except openslide.OpenSlideError as error:
        reason = str(error).removeprefix(f"Reading {path}: ")
        raise SlideError(f"{path}: OpenSlide refuses it ({reason}); convert the slide") from None


def _open_series(folder: Path) -> tuple[openslide.OpenSlide, Path]:
    """Open the one series of a folder by a level of the slide; OpenSlide finds the others.

    Labels and overviews of the glass are not opened by themselves: they may be stored otherwise,
    and an error would name them in place of the slide.
    """
    files = dicom_files(folder)
    levels = [file for file in files if is_dicom_volume(file)] or files
    slide = _open(levels[0])
    series = slide.properties["dicom.SeriesInstanceUID"]
    for file in levels[1:]:
        with _open(file) as other:
            if other.properties["dicom.SeriesInstanceUID"] != series:
                slide.close()
                raise SlideError(f"{folder}: several DICOM series; give each a folder of its own")
    return slide, levels[0]


def _bounds(slide: openslide.OpenSlide) -> Region | None:
    stated = [slide.properties.get(f"openslide.bounds-{x}") for x in ("x", "y", "width", "height")]
    if None in stated:
        return None
    x, y, width, height = (int(value) for value in stated if value is not None)
    return Region(x, y, Size(width, height))
