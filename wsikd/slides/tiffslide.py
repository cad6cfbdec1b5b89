"""TIFF slides: what they state through tiffslide, their tiles one by one through tifffile."""

import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError  # nosec: the error alone

import numpy as np
import tiffslide
from numpy.typing import NDArray

from wsikd.errors import SlideError, UnsupportedSlideError
from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.jpeg import DamagedDataError
from wsikd.slides.reader import FileReader
from wsikd.slides.series import choose_series, pages_of
from wsikd.slides.sniff import FileKind
from wsikd.slides.stated import (
    contradiction,
    imagej_mpp,
    ome_images,
    ome_mpp,
    parse_number,
    tags_mpp,
    unread,
    without_print,
)
from wsikd.slides.tiles import DAMAGE, TiffTiles, UnsupportedError
from wsikd.slides.unscanned import is_left_out

# without a handler of the application's, tifffile's complaints would go to stderr
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_UNPARSED = (*DAMAGE, AssertionError, AttributeError, ParseError, StopIteration)


class TiffSlideReader(FileReader):
    """Reads an RGB or grey TIFF slide: properties by tiffslide, tiles by tifffile and libjpeg.

    The tiles asked for are decoded straight into the result, not by tiffslide's own way through
    zarr: the pixels are the same, damage in them is noticed, and nothing but the result is held.
    """

    name = "tiffslide"

    @classmethod
    def suits(cls, path: Path, kind: FileKind) -> int:  # noqa: ARG003
        """Return 2 for TIFF: it reads OpenSlide's pixels several times faster, and sees damage."""
        return 2 if kind == "tiff" else 0

    def __init__(self, path: Path) -> None:
        self.path = path
        # opened here, as tiffslide takes a "::" in a path for a chain of addresses
        try:
            self._handle = path.open("rb")
        except OSError as error:
            raise SlideError(f"{path}: cannot be opened ({error.strerror})") from None
        try:
            self._open()
        except BaseException:
            self._handle.close()
            raise

    def _open(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "metadata parsing only partially implemented"
            try:
                self._slide = tiffslide.TiffSlide(self._handle)
                series = choose_series(self._slide.ts_tifffile)
                self._pages = pages_of(series)
                self._levels = [TiffTiles(page) for page in self._pages]
                self._check_end()
            except UnsupportedError as error:
                raise UnsupportedSlideError(
                    f"{self.path}: unsupported, must be one picture in RGB or grey with 8 bits,"
                    f" got {error}; convert it"
                ) from None
            except DAMAGE as error:
                reason = " ".join(str(error).split())
                raise SlideError(
                    f"{self.path}: the TIFF directory is missing or damaged ({reason});"
                    " copy the file again"
                ) from None
            self._state(_properties(self._slide))
        self.level_sizes = tuple(level.size for level in self._levels)
        self.tile_size = self._levels[0].tile_size
        self.version = f"tiffslide {version('tiffslide')}"
        # OpenSlide decodes JPEG 2000 as well, and shows further levels where tiles are left out
        self.is_makeshift = not all(tile.is_whole and tile.shows_damage for tile in self._levels)

    def _check_end(self) -> None:
        """Refuse a file that ends too early, and a format whose areas have to be put together."""
        if self._slide.ts_tifffile.is_scn:
            raise UnsupportedError("several scanned areas of Leica")
        size = self.path.stat().st_size
        for page in self._pages:
            end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)))
            if end > size:
                raise SlideError(
                    f"{self.path}: must have at least {end} bytes, got {size};"
                    " it is truncated, copy it again"
                )

    def _state(self, properties: dict[str, Any]) -> None:
        """Set what the file states of itself: format, resolution and objective."""
        file, page = self._slide.ts_tifffile, self._pages[0]
        vendor = properties.get("tiffslide.vendor")
        self.format = str(vendor or ("ome-tiff" if file.is_ome else "generic-tiff"))
        self.objective_power = parse_number(properties.get("tiffslide.objective-power"))
        sides = [parse_number(properties.get(f"tiffslide.mpp-{axis}")) for axis in "xy"]
        size = {"SizeX": page.imagewidth, "SizeY": page.imagelength}
        alike = [pixels for pixels in ome_images(file) if size.items() <= pixels.items()]
        told = ome_mpp(alike[0]) if alike else None
        if told is None and vendor is not None and None not in sides:
            told = Mpp(*(side for side in sides if side is not None))
        told = told or imagej_mpp(file)
        printed, notes = without_print(tags_mpp(page))
        self.stated_mpp = told or printed
        self.notes = contradiction(told, printed) if told else notes
        self.notes += unread(properties, ("aperio.MPP", "aperio.AppMag"))

    def find_unscanned(self, size: Size) -> NDArray[np.bool_]:
        """Find the tiles that the file leaves out of level 0."""
        return is_left_out(self._pages[0], size)

    def _read(self, region: Region, level: int) -> Pixels:
        tiles = self._levels[level]
        tile_width, tile_height = tiles.tile_size
        down_x, down_y = self.level_downsamples[level]
        left, top = round(region.x / down_x), round(region.y / down_y)
        bottom = min(top + region.size.height, tiles.size.height)
        right = min(left + region.size.width, tiles.size.width)
        pixels = np.empty((region.size.height, region.size.width, 3), np.uint8)
        pixels[bottom - top :] = pixels[:, right - left :] = 255  # what leaves the level
        for row in range(top // tile_height, -(-bottom // tile_height)):
            for column in range(left // tile_width, -(-right // tile_width)):
                x, y = column * tile_width, row * tile_height
                _paste(self._decode(level, row, column), pixels, x - left, y - top)
        return pixels

    def _decode(self, level: int, row: int, column: int) -> Pixels:
        """Decode one tile; white where the file leaves it out or it is damaged."""
        tiles = self._levels[level]
        width, height = tiles.tile_size
        try:
            tile = tiles.decode(row, column)
        except DamagedDataError as error:
            self._note_damage(level, (column * width, row * height), tiles.tile_size, str(error))
            tile = None
        return np.broadcast_to(np.uint8(255), (height, width, 3)) if tile is None else tile

    def _close(self) -> None:
        self._slide.close()
        self._handle.close()


def _properties(slide: tiffslide.TiffSlide) -> dict[str, Any]:
    """Read what tiffslide makes of the metadata; nothing where it cannot."""
    try:
        properties: dict[str, Any] = slide.properties
    except _UNPARSED:
        return {}
    return properties


def _paste(tile: Pixels, pixels: Pixels, x: int, y: int) -> None:
    """Copy the part of a tile placed at (x, y) of `pixels` that lies inside."""
    top, left = max(0, -y), max(0, -x)
    bottom = min(tile.shape[0], pixels.shape[0] - y)
    right = min(tile.shape[1], pixels.shape[1] - x)
    pixels[y + top : y + bottom, x + left : x + right] = tile[top:bottom, left:right]
