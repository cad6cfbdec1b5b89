"""Whole-slide images: one interface, several libraries behind it."""

from collections.abc import Callable
from pathlib import Path

from wsikd.errors import ConfigError, SlideError
from wsikd.slides.array import ArrayReader
from wsikd.slides.image import ImageReader
from wsikd.slides.openslide import OpenSlideReader, detect_vendor
from wsikd.slides.reader import SlideReader
from wsikd.slides.resolution import Resolution, resolution_of
from wsikd.slides.sniff import FileKind, describe_head, sniff
from wsikd.slides.tiffslide import TiffSlideReader

__all__ = [
    "READERS",
    "ArrayReader",
    "Resolution",
    "SlideReader",
    "open_slide",
    "resolution_of",
]

READERS: dict[str, Callable[[Path], SlideReader]] = {
    "openslide": OpenSlideReader,
    "tiffslide": TiffSlideReader,
    "image": ImageReader,
}
"""Name of a reader, as for `--reader`, to what opens a slide with it."""


def open_slide(path: Path, *, reader: str | None = None) -> SlideReader:
    """Open a slide with the reader that suits what the file is.

    JPEG-tiled Aperio and generic TIFF go to tiffslide, which reads them to the same pixels as
    OpenSlide several times faster; what else OpenSlide knows goes to OpenSlide; TIFF that OpenSlide
    refuses to tiffslide; and plain pictures to Pillow.

    Parameters
    ----------
    path : Path
        A slide's file, or the folder of a DICOM series.
    reader : str, optional
        Key of `READERS`, to force one.

    Raises
    ------
    SlideError
        If the file is missing, empty, damaged or nothing that a reader knows.
    ConfigError
        If there is no such reader.
    """
    if reader is not None and reader not in READERS:
        raise ConfigError(f"reader {reader!r} is unknown; choose one of {', '.join(READERS)}")
    kind: FileKind = "dicom" if path.is_dir() else sniff(path)
    if reader is not None:
        return READERS[reader](path)
    if kind == "dicom":
        return OpenSlideReader(path)
    vendor = detect_vendor(path)
    if kind == "tiff":
        return _open_tiff(path, vendor)
    if vendor is not None:  # before pictures: the index file of a MIRAX slide is a JPEG
        return OpenSlideReader(path)
    if kind == "picture":
        return ImageReader(path)
    raise SlideError(
        f"{path}: begins with {describe_head(path)}, which no reader knows;"
        " export it as SVS, TIFF or DICOM"
    )


def _open_tiff(path: Path, vendor: str | None) -> SlideReader:
    if vendor not in (None, "aperio", "generic-tiff"):
        return OpenSlideReader(path)
    by_tiffslide = TiffSlideReader(path)
    if vendor is None or by_tiffslide.has_only_jpeg_tiles:
        return by_tiffslide
    try:
        by_openslide = OpenSlideReader(path)
    except SlideError:  # a compression that OpenSlide does not know, such as WebP
        return by_tiffslide
    by_tiffslide.close()
    return by_openslide
