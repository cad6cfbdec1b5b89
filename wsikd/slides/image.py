"""Plain pictures as slides of one level, through Pillow."""

import warnings
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from wsikd.errors import SlideError
from wsikd.geometry import Pixels, Region, Size
from wsikd.slides.reader import FileReader, on_white
from wsikd.slides.sniff import FileKind
from wsikd.slides.unscanned import share_of_cells

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # at most 8 bits a channel

_LOSSLESS = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate")
_ORIENTATION, _BITS = 274, 258  # tags, of EXIF as of TIFF


class ImageReader(FileReader):
    """Reads a PNG, JPEG, JPEG 2000, WebP, BMP or TIFF picture, which has to fit into memory.

    The resolution tags of such files say how to print them, so none is taken from them.
    """

    name = "image"

    @classmethod
    def suits(cls, path: Path, kind: FileKind) -> int:  # noqa: ARG003
        """Return 1 for a picture: it may also be the index of a slide that another knows."""
        return 1 if kind == "picture" else 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self._image, self.format = _load(path)
        self.version = f"pillow {PIL.__version__}"
        self.level_sizes = (Size(*self._image.size),)
        self.stated_mpp = None
        self.objective_power = None
        self.tile_size = Size(512, 512)  # all is decoded already, so any block will do

    def find_unscanned(self, size: Size) -> NDArray[np.bool_]:
        """Find where the picture is transparent."""
        if self._image.mode != "RGBA":
            return super().find_unscanned(size)
        alpha = np.asarray(self._image.getchannel("A"))
        return share_of_cells(alpha == 0, size) >= 0.5

    def _read(self, region: Region, level: int) -> Pixels:  # noqa: ARG002
        right, bottom = region.x + region.size.width, region.y + region.size.height
        pixels = np.array(self._image.crop((region.x, region.y, right, bottom)))
        return on_white(pixels) if self._image.mode == "RGBA" else pixels

    def _close(self) -> None:
        self._image.close()


def _load(path: Path) -> tuple[Image.Image, str]:
    """Decode a picture to RGB, or RGBA where it has transparency; also name its format."""
    try:
        with warnings.catch_warnings():
            # Pillow warns above 89 million pixels and refuses above twice that
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(path)
        with opened:
            name = str(opened.format).lower()
            _check(path, opened)
            mode = "RGBA" if opened.has_transparency_data else "RGB"
            return opened.convert(mode), name
    except Image.DecompressionBombError:
        raise SlideError(
            f"{path}: too large to be read as a plain picture; convert it to a tiled TIFF"
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        reason = str(error).replace(f" {str(path)!r}", "")
        raise SlideError(
            f"{path}: a picture that cannot be decoded ({reason}); copy it again"
        ) from None


def _bits(path: Path, opened: Image.Image) -> int:
    """Return the bits a channel of formats of which Pillow would drop the lower ones."""
    if opened.format == "TIFF":
        bits = getattr(opened, "tag_v2", {}).get(_BITS, 8)
        return int(max(bits)) if isinstance(bits, tuple) else int(bits)
    if opened.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # of the first chunk, which is the header
    return 8


def _check(path: Path, opened: Image.Image) -> None:
    """Refuse what Pillow would show otherwise than it is meant, or passes over."""
    if opened.mode not in _MODES or _bits(path, opened) > 8:
        found = (
            f"mode {opened.mode}" if opened.mode not in _MODES else f"{_bits(path, opened)} bits"
        )
        raise SlideError(f"{path}: must have 8 bits a channel, got {found}; convert it")
    orientation = opened.getexif().get(_ORIENTATION, 1)
    if orientation != 1:
        raise SlideError(
            f"{path}: must be stored upright, is turned or mirrored (Orientation {orientation});"
            " save it anew"
        )
    if opened.format == "JPEG":
        from wsikd.slides.jpeg import check_jpeg  # noqa: PLC0415, else learning needs its library

        check_jpeg(path.read_bytes())
    if opened.format == "TIFF":
        pictures, compression = getattr(opened, "n_frames", 1), opened.info.get("compression")
        if pictures > 1 or compression not in _LOSSLESS:  # of others Pillow notices no damage
            raise SlideError(
                f"{path}: must be a TIFF of one picture without loss, has {pictures} in"
                f" {compression}; read it with another reader"
            )
