"""TIFF slides through tiffslide, their tiles decoded one by one through tifffile."""

import contextlib
import logging
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tifffile
import tiffslide
from numpy.typing import NDArray

from wsikd.errors import SlideError
from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.reader import FileReader, on_white
from wsikd.slides.sniff import FileKind
from wsikd.slides.unscanned import is_left_out

# without a handler of the application's, tifffile's complaints would go to stderr
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# what opening or decoding a damaged file raises: imagecodecs' errors are RuntimeErrors
_DAMAGE = (tifffile.TiffFileError, RuntimeError, ValueError, LookupError, TypeError, OSError)


class TiffSlideReader(FileReader):
    """Reads an RGB TIFF slide: levels and properties by tiffslide, tiles by tifffile.

    The tiles asked for are decoded straight into the result, not by tiffslide's own way through
    zarr: the pixels are the same, and nothing but the result is held.
    """

    name = "tiffslide"

    @classmethod
    def suits(cls, path: Path, kind: FileKind) -> int:  # noqa: ARG003
        """Return 2 for TIFF; in JPEG, it reads OpenSlide's pixels several times faster."""
        return 2 if kind == "tiff" else 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self._slide, self._pages = _open(path)
        properties = self._slide.properties
        self.format = str(properties["tiffslide.vendor"] or _kind(self._slide))
        self.version = f"tiffslide {version('tiffslide')}"
        self.level_sizes = tuple(Size(page.imagewidth, page.imagelength) for page in self._pages)
        mpp_x = properties["tiffslide.mpp-x"]
        mpp_y = properties["tiffslide.mpp-y"]
        self.stated_mpp = (
            None if mpp_x is None or mpp_y is None else Mpp(float(mpp_x), float(mpp_y))
        )
        power = properties["tiffslide.objective-power"]
        self.objective_power = None if power is None else float(power)
        tile_height, tile_width = self._pages[0].chunks[:2]
        self.tile_size = Size(tile_width, tile_height)
        self.is_makeshift = not all(map(_is_whole_in_jpeg, self._pages))

    def find_unscanned(self, size: Size) -> NDArray[np.bool_]:
        """Find the tiles that the file leaves out of level 0."""
        return is_left_out(self._pages[0], size)

    def _read(self, region: Region, level: int) -> Pixels:
        page = self._pages[level]
        down_x, down_y = self.level_downsamples[level]
        left, top = round(region.x / down_x), round(region.y / down_y)
        tile_height, tile_width = page.chunks[:2]
        columns = -(-page.imagewidth // tile_width)
        shape = (region.size.height, region.size.width, page.samplesperpixel)
        pixels = np.full(shape, 255, np.uint8)
        bottom = min(top + shape[0], page.imagelength)
        right = min(left + shape[1], page.imagewidth)
        for row in range(top // tile_height, -(-bottom // tile_height)):
            for column in range(left // tile_width, -(-right // tile_width)):
                tile = self._decode(level, row * columns + column)
                if tile is not None:
                    _paste(tile, pixels, column * tile_width - left, row * tile_height - top)
        if page.samplesperpixel == 4:
            return on_white(pixels)
        return pixels if page.samplesperpixel == 3 else np.repeat(pixels, 3, axis=2)

    def _decode(self, level: int, index: int) -> Pixels | None:
        """Decode one tile, shape (height, width, samples); None where the file leaves it out."""
        page = self._pages[level]
        offset, byte_count = page.dataoffsets[index], page.databytecounts[index]
        if byte_count == 0:
            return None
        decode, tables = page.decode, page.jpegtables  # getting them may move in the file
        try:
            file = self._slide.ts_tifffile.filehandle
            file.seek(offset)
            data = file.read(byte_count)
            if page.compression == tifffile.COMPRESSION.JPEG and not _is_whole_jpeg(data):
                raise ValueError("premature end of JPEG data")
            tile, _, shape = decode(data, index, jpegtables=tables)
            assert tile is not None  # as there are data
        except _DAMAGE as error:
            raise SlideError(
                f"{self.path}: tile {index} of level {level} cannot be decoded ({error});"
                " the file is damaged, copy it again"
            ) from None
        pixels: Pixels = tile[0, : shape[1], : shape[2]]  # tile: depth, height, width, samples
        return pixels

    def _close(self) -> None:
        self._slide.close()


def _open(path: Path) -> tuple[tiffslide.TiffSlide, list[tifffile.TiffPage]]:
    try:
        with contextlib.ExitStack() as closing, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "metadata parsing only partially implemented"
            slide = closing.enter_context(tiffslide.TiffSlide(path))
            series = slide.ts_tifffile.series[slide.properties["tiffslide.series-index"]]
            pages = [level.pages[0].aspage() for level in series.levels]
            _check(path, slide, pages)
            closing.pop_all()
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise SlideError(
            f"{path}: the TIFF directory is missing or damaged ({reason}); copy the file again"
        ) from None
    return slide, pages


def _check(path: Path, slide: tiffslide.TiffSlide, pages: list[tifffile.TiffPage]) -> None:
    """Refuse what is not one RGB or grey 8-bit picture, and a file that ends too early."""
    axes = slide.properties["tiffslide.series-axes"]
    if "tiffslide.series-composition" in slide.properties:
        raise SlideError(f"{path}: several scanned areas; read it with --reader openslide")
    for page in pages:
        if not (axes in ("YXS", "YX") and _holds_colours(page)):
            raise SlideError(
                f"{path}: must be RGB or grey with 8 bits, got axes {axes} of {page.dtype} as"
                f" {tifffile.PHOTOMETRIC(page.photometric).name.lower()}; convert it"
            )
        end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)))
        if end > path.stat().st_size:
            raise SlideError(
                f"{path}: must have at least {end} bytes, got {path.stat().st_size};"
                " it is truncated, copy it again"
            )


def _holds_colours(page: tifffile.TiffPage) -> bool:
    """Whether decoding a page gives RGB, RGBA or grey, 8 bits each, side by side."""
    colours = {tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK}
    if page.compression == tifffile.COMPRESSION.JPEG:  # its decoder turns YCbCr into RGB
        colours.add(tifffile.PHOTOMETRIC.YCBCR)
    side_by_side = page.planarconfig == 1 and page.samplesperpixel in (1, 3, 4)
    return side_by_side and page.dtype == np.uint8 and page.photometric in colours


def _is_whole_in_jpeg(page: tifffile.TiffPage) -> bool:
    """Whether a level is in JPEG without a tile left out, where OpenSlide reads the same pixels."""
    in_jpeg = page.is_tiled and page.compression == tifffile.COMPRESSION.JPEG
    return in_jpeg and page.samplesperpixel == 3 and min(page.databytecounts) > 0


def _kind(slide: tiffslide.TiffSlide) -> str:
    return "ome-tiff" if slide.ts_tifffile.is_ome else "generic-tiff"


def _is_whole_jpeg(data: bytes) -> bool:
    """Whether the end mark is there: without it imagecodecs fills up with grey and says nothing."""
    return data.rstrip(b"\0\xff").endswith(b"\xff\xd9")


def _paste(tile: Pixels, pixels: Pixels, x: int, y: int) -> None:
    """Copy the part of a tile placed at (x, y) of `pixels` that lies inside."""
    top, left = max(0, -y), max(0, -x)
    bottom = min(tile.shape[0], pixels.shape[0] - y)
    right = min(tile.shape[1], pixels.shape[1] - x)
    pixels[y + top : y + bottom, x + left : x + right] = tile[top:bottom, left:right]
