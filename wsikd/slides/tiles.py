"""The tiles, or strips, of one level of a TIFF, decoded to RGB one by one."""

from collections.abc import Callable

import numpy as np
import tifffile

from wsikd.geometry import Pixels, Size
from wsikd.slides.jpeg import ColourSpace, DamagedDataError, decode_jpeg
from wsikd.slides.reader import on_white

DAMAGE = (tifffile.TiffFileError, RuntimeError, ValueError, LookupError, TypeError, OSError)
"""What opening or decoding a damaged file raises: imagecodecs' errors are RuntimeErrors."""

_PHOTOMETRIC, _JPEG = tifffile.PHOTOMETRIC, tifffile.COMPRESSION.JPEG
_COLOURS: dict[int | None, int] = {
    _PHOTOMETRIC.RGB: 3,
    _PHOTOMETRIC.YCBCR: 3,
    _PHOTOMETRIC.MINISBLACK: 1,
    _PHOTOMETRIC.MINISWHITE: 1,
    _PHOTOMETRIC.PALETTE: 1,
}
_SPACES: dict[int | None, ColourSpace] = {
    _PHOTOMETRIC.RGB: "rgb",
    _PHOTOMETRIC.YCBCR: "ycbcr",
    _PHOTOMETRIC.MINISBLACK: "grey",
}
_JPEG_2000 = (33003, 33004, 33005, 34712)
_PREMULTIPLIED, _STRAIGHT = 1, 2  # values of the tag ExtraSamples that are an alpha


class UnsupportedError(ValueError):
    """A TIFF is whole and of a kind that this module does not read; the text says which."""


class TiffTiles:
    """Decodes the tiles of one level.

    Parameters
    ----------
    page : TiffPage
        The level.

    Raises
    ------
    UnsupportedError
        If its samples are none that are known to become RGB of 8 bits.
    """

    def __init__(self, page: tifffile.TiffPage) -> None:
        self._page = page
        self._file = page.parent.filehandle
        self._convert = _converter(page)
        self._planes = page.samplesperpixel if page.planarconfig == 2 else 1
        self.size = Size(page.imagewidth, page.imagelength)
        tall, wide = page.chunks[:2]
        self.tile_size = Size(wide, min(tall, self.size.height))
        self.columns = -(-self.size.width // wide)
        self.rows = -(-self.size.height // self.tile_size.height)

    @property
    def is_whole(self) -> bool:
        """Whether no tile is left out."""
        return min(self._page.databytecounts) > 0

    @property
    def shows_damage(self) -> bool:
        """Whether damaged data are told by their decoder; JPEG 2000 has no means for it."""
        return self._page.compression not in _JPEG_2000

    def decode(self, row: int, column: int) -> Pixels | None:
        """Decode one tile without what of it leaves the level; None where the file leaves it out.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3) or (height, width, 1)

        Raises
        ------
        DamagedDataError
            If the tile's data are damaged.
        """
        index = row * self.columns + column
        step = self.rows * self.columns
        try:
            parts = [self._decode(index + plane * step) for plane in range(self._planes)]
        except DamagedDataError:
            raise
        except DAMAGE as error:
            raise DamagedDataError(" ".join(str(error).split())) from None
        there = [part for part in parts if part is not None]
        if len(there) < len(parts):
            return None
        # nearly always it is one part, which is spared the copy
        return self._convert(there[0] if len(there) == 1 else np.concatenate(there, axis=2))

    def _decode(self, index: int) -> Pixels | None:
        """Decode the samples of one tile as they are stored, shape (height, width, samples)."""
        page = self._page
        offset, byte_count = page.dataoffsets[index], page.databytecounts[index]
        if byte_count == 0:
            return None
        decode, tables = page.decode, page.jpegtables  # getting them may move in the file
        self._file.seek(offset)
        data = self._file.read(byte_count)
        if page.compression != _JPEG:
            tile, _, shape = decode(data, index)
            assert tile is not None  # as there are data
            pixels: Pixels = tile[0, : shape[1], : shape[2]]  # tile: depth, height, width, samples
            return pixels
        if page.jpegheader is not None:  # NDPI, whose strips have neither header nor end
            data = page.jpegheader + data + b"\xff\xd9"
        space = _SPACES[page.photometric] if self._planes == 1 else "grey"
        pixels = decode_jpeg(data, space, tables=tables)
        return self._on_slide(pixels, index)

    def _on_slide(self, pixels: Pixels, index: int) -> Pixels:
        """Cut off what leaves the level; the rest must be there."""
        row, column = divmod(index % (self.rows * self.columns), self.columns)
        height = min(self.tile_size.height, self.size.height - row * self.tile_size.height)
        width = min(self.tile_size.width, self.size.width - column * self.tile_size.width)
        if pixels.shape[0] < height or pixels.shape[1] < width:
            found = f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise DamagedDataError(f"{found} pixels for a tile of {width} x {height}")
        return pixels[:height, :width]


def _converter(page: tifffile.TiffPage) -> Callable[[Pixels], Pixels]:
    """Choose what makes RGB, or grey in one channel, of a page's samples."""
    colours = _COLOURS.get(page.photometric, 0)
    if page.compression == _JPEG:
        # in planes, each channel is a picture in grey
        plain = page.planarconfig == 1 or page.photometric == _PHOTOMETRIC.RGB
        known = plain and page.samplesperpixel == colours and page.photometric in _SPACES
    else:  # only the decoder of JPEG turns YCbCr into RGB
        known = 0 < colours <= page.samplesperpixel and page.photometric != _PHOTOMETRIC.YCBCR
    if page.dtype != np.uint8 or not known:
        raise UnsupportedError(
            f"{page.samplesperpixel} samples of {page.dtype} as {_name(page.photometric)} in"
            f" {_name(page.compression)}"
        )
    orientation = page.tags.valueof(274, default=1)
    if orientation != 1:
        raise UnsupportedError(f"Orientation {orientation}, turned or mirrored")
    try:
        page.decode(None, 0)  # as if the tile were left out: no codec, no such function
    except DAMAGE as error:
        raise UnsupportedError(" ".join(str(error).split())) from None
    colour = _colour_converter(page)
    extra = page.extrasamples[0] if page.extrasamples else 0
    if page.samplesperpixel == colours or extra not in (_PREMULTIPLIED, _STRAIGHT):
        return lambda tile: colour(tile[..., :colours])
    composite = on_white if extra == _STRAIGHT else _add_white
    return lambda tile: composite(
        np.concatenate([_as_rgb(colour(tile[..., :colours])), tile[..., colours : colours + 1]], 2)
    )


def _colour_converter(page: tifffile.TiffPage) -> Callable[[Pixels], Pixels]:
    if page.photometric == _PHOTOMETRIC.MINISWHITE:
        return _inverted
    if page.photometric != _PHOTOMETRIC.PALETTE:
        return lambda pixels: pixels
    palette = np.asarray(page.colormap).T  # 256 colours of 16 bits, in some files of 8
    colours = (palette >> 8 if palette.max() > 255 else palette).astype(np.uint8)
    return lambda indices: np.take(colours, indices[..., 0], axis=0)


def _inverted(grey: Pixels) -> Pixels:
    inverted: Pixels = 255 - grey
    return inverted


def _name(value: object) -> str:
    """Return the name of a tag's value, or the number where it has none."""
    return str(getattr(value, "name", value)).lower()


def _as_rgb(pixels: Pixels) -> Pixels:
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def _add_white(rgba: Pixels) -> Pixels:
    """Composite colours that are already multiplied by their alpha on white."""
    sums = rgba[..., :3].astype(np.uint16) + (255 - rgba[..., 3:])
    composited: Pixels = np.minimum(sums, 255).astype(np.uint8)
    return composited
