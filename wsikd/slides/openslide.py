"""Slides through OpenSlide: most vendors' formats, and DICOM series."""

import math
from pathlib import Path

import numpy as np
import openslide
import tifffile
from numpy.typing import NDArray
from PIL import Image

from wsikd.errors import SlideError
from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.reader import FileReader, on_white
from wsikd.slides.sniff import FileKind, dicom_files
from wsikd.slides.unscanned import MOST_CELLS, is_left_out, is_outside, share_of_cells

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
        mpp_x = _number(properties.get(openslide.PROPERTY_NAME_MPP_X))
        mpp_y = _number(properties.get(openslide.PROPERTY_NAME_MPP_Y))
        self.stated_mpp = None if mpp_x is None or mpp_y is None else Mpp(mpp_x, mpp_y)
        self.objective_power = _number(properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER))
        self.tile_size = Size(
            int(properties.get("openslide.level[0].tile-width", 256)),
            int(properties.get("openslide.level[0].tile-height", 256)),
        )

    def find_unscanned(self, size: Size) -> NDArray[np.bool_]:
        """Find the tiles that the file leaves out, what is transparent and outside its bounds."""
        if self.format in _PLAIN_TIFF:  # where tiles alone are transparent, and may cost seconds
            with tifffile.TiffFile(self._file) as file:
                unscanned = is_left_out(file.pages.first, size)
        else:
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
            image = self._read_rgba(Region(0, round(top * down_y), strip), level)
            parts.append(np.asarray(image.getchannel("A"))[::step, ::step] == 0)
        return np.concatenate(parts)

    def _read(self, region: Region, level: int) -> Pixels:
        return on_white(np.asarray(self._read_rgba(region, level)))

    def _read_rgba(self, region: Region, level: int) -> Image.Image:
        try:
            return self._slide.read_region((region.x, region.y), level, region.size)
        except openslide.OpenSlideError as error:
            # after an error the handle repeats it for ever: other regions need a new one
            self._slide.close()
            self._slide = _open(self._file)
            raise SlideError(
                f"{self.path}: region x={region.x} y={region.y} at level {level} cannot be decoded"
                f" ({error}); the file is damaged, copy it again"
            ) from None

    def _close(self) -> None:
        self._slide.close()


def _open(path: Path) -> openslide.OpenSlide:
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError:
        raise SlideError(f"{path}: no format that OpenSlide knows, or a damaged file") from None
    except openslide.OpenSlideError as error:
        reason = str(error).removeprefix(f"Reading {path}: ")
        raise SlideError(f"{path}: OpenSlide refuses it ({reason}); convert the slide") from None


def _open_series(folder: Path) -> tuple[openslide.OpenSlide, Path]:
    """Open the one series of a folder by any file of it; OpenSlide finds the others."""
    files = dicom_files(folder)
    slide = _open(files[0])
    series = slide.properties["dicom.SeriesInstanceUID"]
    for file in files[1:]:
        with _open(file) as other:
            if other.properties["dicom.SeriesInstanceUID"] != series:
                slide.close()
                raise SlideError(f"{folder}: several DICOM series; give each a folder of its own")
    return slide, files[0]


def _bounds(slide: openslide.OpenSlide) -> Region | None:
    stated = [slide.properties.get(f"openslide.bounds-{x}") for x in ("x", "y", "width", "height")]
    if None in stated:
        return None
    x, y, width, height = (int(value) for value in stated if value is not None)
    return Region(x, y, Size(width, height))


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
