"""Whole-slide images: one interface, several libraries behind it.

A library is imported when a slide is opened, so that only those have to be there that are used.
"""

import pkgutil
from pathlib import Path
from typing import NamedTuple

from wsikd.config import OneOf
from wsikd.errors import ConfigError, SlideError, UnsupportedSlideError
from wsikd.slides.array import ArrayReader
from wsikd.slides.reader import DamagedTile, FileReader, SlideReader
from wsikd.slides.resolution import Resolution, resolution_of
from wsikd.slides.sniff import FileKind, describe_head, sniff

__all__ = [
    "READERS",
    "ArrayReader",
    "DamagedTile",
    "ReaderName",
    "ReaderPlace",
    "Resolution",
    "SlideReader",
    "open_slide",
    "resolution_of",
]


class ReaderPlace(NamedTuple):
    """Where a reader is and what it takes.

    Attributes
    ----------
    reader : str
        Its module and class, as "module:class".
    packages : str
        What to install with pip for it.
    """

    reader: str
    packages: str


READERS: dict[str, ReaderPlace] = {
    "openslide": ReaderPlace(
        "wsikd.slides.openslide:OpenSlideReader", "openslide-python openslide-bin"
    ),
    "tiffslide": ReaderPlace(
        "wsikd.slides.tiffslide:TiffSlideReader", "tiffslide imagecodecs simplejpeg"
    ),
    "omezarr": ReaderPlace("wsikd.slides.omezarr:OmeZarrReader", "zarr"),
    "image": ReaderPlace("wsikd.slides.image:ImageReader", "pillow simplejpeg"),
}
"""Name to place; of readers that suit a file equally well the first is taken."""

ReaderName = OneOf[str, READERS]
"""A key of `READERS`."""


def open_slide(path: Path, *, reader: str | None = None) -> SlideReader:
    """Open a slide with the reader that suits what the file is.

    The readers are asked how well they suit the file, see `FileReader.suits`. Those whose library
    is not installed are passed over.

    Parameters
    ----------
    path : Path
        A slide's file, or the folder of a DICOM series or an OME-Zarr image.
    reader : str, optional
        Key of `READERS`, to force one.

    Raises
    ------
    SlideError
        If the file is missing, empty, damaged or nothing that an installed reader knows.
    ConfigError
        If there is no such reader, or its library is not installed.
    """
    if reader is not None and reader not in READERS:
        raise ConfigError(f"reader {reader!r} is unknown; choose one of {', '.join(READERS)}")
    kind = sniff(path)
    if reader is not None:
        return _find_one(reader)(path)
    suiting = _find_suiting(path, kind)
    if not suiting:
        raise SlideError(f"{path}: {_why_unknown(path)}")
    return _open_best(path, suiting)


def _open_best(path: Path, suiting: list[type[FileReader]]) -> FileReader:
    """Open a file with the first reader that reads it well, else with the first that reads it."""
    first, *others = suiting
    refused: UnsupportedSlideError | None = None
    opened: FileReader | None = None
    try:
        opened = first(path)  # what it calls damaged is refused
    except UnsupportedSlideError as error:
        refused = error
    for other in others if opened is None or opened.is_makeshift else ():
        try:
            better = other(path)
        except SlideError:  # such as a compression that OpenSlide does not know
            continue
        if opened is not None:
            opened.close()
        return better
    if opened is None:
        assert refused is not None
        raise refused
    return opened


def _find(name: str) -> type[FileReader] | None:
    """Import a reader; return None if its library is not installed."""
    try:
        found: type[FileReader] = pkgutil.resolve_name(READERS[name].reader)
    except ImportError as error:
        if (error.name or "").startswith("wsikd"):  # our own fault
            raise
        return None
    return found


def _find_one(name: str) -> type[FileReader]:
    found = _find(name)
    if found is None:
        raise ConfigError(f"reader {name!r} is not installed; pip install {READERS[name].packages}")
    return found


def _find_suiting(path: Path, kind: FileKind) -> list[type[FileReader]]:
    """List the readers that suit a file, the one that suits best first."""
    found = filter(None, map(_find, READERS))
    suits = [(reader.suits(path, kind), reader) for reader in found]
    ranked = sorted(suits, key=lambda pair: pair[0], reverse=True)
    return [reader for rank, reader in ranked if rank > 0]


def _why_unknown(path: Path) -> str:
    missing = [name for name in READERS if _find(name) is None]
    if missing:
        packages = " ".join(READERS[name].packages for name in missing)
        return f"no reader knows it without {', '.join(missing)}; pip install {packages}"
    head = describe_head(path)
    return f"begins with {head}, which no reader knows; export it as SVS, TIFF or DICOM"
