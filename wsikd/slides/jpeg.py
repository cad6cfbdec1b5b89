"""JPEG data decoded so that damage inside them is noticed.

libjpeg goes on after corrupt data with grey or garbled blocks and only counts a warning. Here such
a warning is an error, as in OpenSlide; and other than in OpenSlide all data up to the end mark are
looked at, so that a picture that ended before its data is noticed, too.
"""

from typing import Literal

import simplejpeg

from wsikd.geometry import Pixels

ColourSpace = Literal["rgb", "ycbcr", "grey"]

_START, _SCAN = b"\xff\xd8", 0xDA
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
_SPACE_MARKERS = (0xE0, 0xEE)  # JFIF means YCbCr and goes before Adobe, which says which it is


class DamagedDataError(ValueError):
    """Compressed data break their format; the text says how, without the file's name."""


def decode_jpeg(data: bytes, space: ColourSpace, *, tables: bytes | None = None) -> Pixels:
    """Decode a JPEG picture, or refuse it if any of it is damaged.

    Parameters
    ----------
    data : bytes
        The picture; what follows its end mark does not matter.
    space : {"rgb", "ycbcr", "grey"}
        What its samples are, which goes before what the data say.
    tables : bytes, optional
        Quantisation and Huffman tables that the picture lacks, as a JPEG stream of their own.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3), or (height, width, 1) of grey

    Raises
    ------
    DamagedDataError
        If libjpeg warns of the data or refuses them.
    """
    if not data.startswith(_START):
        raise DamagedDataError("not a JPEG picture")
    whole = _join(data, space, tables)
    colours = "GRAY" if space == "grey" else "RGB"
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(whole, colours)  # strict: its warnings are errors
    except ValueError as error:
        raise DamagedDataError(str(error)) from None
    return pixels


def check_jpeg(data: bytes) -> None:
    """Raise DamagedDataError for a JPEG picture of any colours that is damaged."""
    try:
        *_, space, _ = simplejpeg.decode_jpeg_header(data)
        simplejpeg.decode_jpeg(data, "CMYK" if space in ("CMYK", "YCCK") else "RGB")
    except ValueError as error:
        raise DamagedDataError(str(error)) from None


def _join(data: bytes, space: ColourSpace, tables: bytes | None) -> bytes:
    """Put the tables and a mark of the colour space before the picture's own header."""
    if space == "grey":
        head = b""
    else:
        head = _ADOBE_RGB if space == "rgb" else _JFIF
        if b"Adobe" in data[:2048] or b"JFIF" in data[:2048]:
            data = _without_space(data)
    return _START + head + (tables[2:-2] if tables else b"") + data[2:]


def _without_space(data: bytes) -> bytes:
    """Drop the segments of a header that say what the samples are."""
    kept, at = [_START], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] not in _SPACE_MARKERS:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])
