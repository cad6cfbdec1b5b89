"""An OME-Zarr image in one file: a zip whose entries are not compressed again.

The file is as RFC-9 of OME-NGFF proposes it [1]_: the image's own group is the root, its metadata
come first, and the name ends in `.ozx`. Each of its arrays is one shard or one chunk, so it has two
entries: what it is, and its pixels.

References
----------
.. [1] https://ngff.openmicroscopy.org/rfc/9/
"""

import struct
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import zarr
from zarr.buffer import cpu
from zarr.storage import MemoryStore

SUFFIX = ".ozx"

_METADATA = "zarr.json"
_PIXELS = "c/0/0/0"

Entries = MutableMapping[str, Any]
"""Name of each entry to its bytes, a buffer of zarr's; what a `MemoryStore` holds."""


def write_archive(path: Path, entries: Entries) -> None:
    """Write what a store in memory holds; equal images make equal files."""
    with ZipFile(path, "x") as archive:
        for name in sorted(entries, key=_place):
            archive.writestr(ZipInfo(name), entries[name].to_bytes())  # its date is always 1980


def is_archived(path: Path) -> bool:
    """Tell whether the path of an array leads into an archive."""
    return path.parent.suffix == SUFFIX


def open_archived(path: Path, array: str) -> zarr.Array[Any]:
    """Read an array of an archive into memory, compressed as it is, and open it.

    Raises
    ------
    OSError, ValueError, RuntimeError, KeyError
        If the archive is not there, or the array is missing or damaged in it.
    """
    names = [f"{array}/{_METADATA}", f"{array}/{_PIXELS}"]
    with _opened(path) as archive:
        entries: Entries = {name.removeprefix(f"{array}/"): _read(archive, name) for name in names}
    return zarr.open_array(MemoryStore(entries), mode="r", zarr_format=3)


def is_whole(path: Path, arrays: Iterable[str]) -> bool:
    """Tell whether an archive has all its parts, and each as it was written.

    Parameters
    ----------
    path : Path
        The archive.
    arrays : iterable of str
        Names of the arrays that it must have.
    """
    parts = (f"{array}/{part}" for array in arrays for part in (_METADATA, _PIXELS))
    try:
        with _opened(path) as archive:
            for name in (_METADATA, *parts):
                _read(archive, name)
    except (OSError, ValueError, RuntimeError, KeyError):
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(path) as archive:
            yield archive
    except (BadZipFile, EOFError, struct.error) as error:  # what zipfile has for damaged files
        raise ValueError(str(error) or "it is cut short") from None


def _read(archive: ZipFile, name: str) -> cpu.Buffer:
    """Read an entry; zipfile compares it with its checksum."""
    entry = archive.getinfo(name)
    if entry.compress_type != ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return cpu.Buffer.from_bytes(archive.read(entry))


def _place(name: str) -> tuple[bool, int, str]:
    """Order entries: metadata first, those of the group before those of its arrays."""
    return not name.endswith(_METADATA), name.count("/"), name
