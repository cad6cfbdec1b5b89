"""Reading a level of a region from its array on disk, whole or in strips."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import ZipStore

from wsikd.errors import StoreError
from wsikd.memory import ran_out
from wsikd.store.archives import SUFFIX, is_archived, open_archived
from wsikd.store.records import LevelRecord


def read_strips(image: Path, level: LevelRecord, rows: int) -> Iterator[NDArray[np.uint8]]:
    """Yield one level of a region in strips of so many rows, each (rows, width, 3), from the top.

    Parameters
    ----------
    image : Path
        The region's image in its slide's folder.
    level : LevelRecord
        One of its levels.
    rows : int
        At most in a strip.

    Raises
    ------
    StoreError
        If the data is damaged.
    """
    path = image / level.path
    try:
        array = open_whole(path)
        for top in range(0, level.height, rows):
            yield np.moveaxis(np.asarray(array[:, top : top + rows], np.uint8), 0, 2)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        if ran_out(error):
            raise
        raise damaged(path, error, image.parent) from None


@contextmanager
def opened_group(path: Path) -> Iterator[zarr.Group]:
    """Open an image's own group, in a folder or an archive; raise as `open_whole` does."""
    if path.suffix != SUFFIX:
        yield zarr.open_group(path, mode="r")
        return
    try:
        with ZipStore(path, mode="r") as store:
            yield zarr.open_group(store, mode="r")
    except BadZipFile as error:
        raise ValueError(str(error)) from None


def open_array(path: Path) -> zarr.Array[Any]:
    """Open an array of an image in a folder or an archive; raise as `open_whole` does."""
    if is_archived(path):
        return open_archived(path.parent, path.name)
    return zarr.open_array(path, mode="r")


def open_whole(path: Path) -> zarr.Array[Any]:
    """Open an array; refuse missing or empty files, which zarr would read as the fill value.

    Parameters
    ----------
    path : Path
        Of the array in its image, which may be an archive.

    Raises
    ------
    OSError, RuntimeError, ValueError, KeyError
        As zarr has it, or if a part of it is missing.
    """
    array = open_array(path)
    if is_archived(path):  # an archive is refused that lacks a part
        return array
    sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    if array.nchunks_initialized < array.nchunks or 0 in sizes:
        raise ValueError("a part of it is missing")
    return array


def damaged(path: Path, error: Exception, slide: Path) -> StoreError:
    """Return the error that a part of a slide is damaged, with the remedy."""
    reason = " ".join(str(error).split())
    return StoreError(f"{path}: damaged ({reason}); remove {slide} and prepare it again")
