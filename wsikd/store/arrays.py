"""Reading a level of a region from its array on disk, whole or in strips."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsikd.errors import StoreError
from wsikd.store.records import LevelRecord


def read_strips(
    slide: Path, region_id: str, level: LevelRecord, rows: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield one level of a region in strips of so many rows, each (rows, width, 3), from the top.

    Raises
    ------
    StoreError
        If the data is damaged.
    """
    path = slide / f"{region_id}.ome.zarr" / level.path
    try:
        array = open_whole(path)
        for top in range(0, level.height, rows):
            yield np.moveaxis(np.asarray(array[:, top : top + rows], np.uint8), 0, 2)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise damaged(path, error, slide) from None


def open_whole(path: Path) -> zarr.Array[Any]:
    """Open an array; refuse missing or empty files, which zarr would read as the fill value.

    Raises
    ------
    OSError, RuntimeError, ValueError, KeyError
        As zarr has it, or if a part of it is missing.
    """
    array = zarr.open_array(path, mode="r")
    sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    if array.nchunks_initialized < array.nchunks or 0 in sizes:
        raise ValueError("a part of it is missing")
    return array


def damaged(path: Path, error: Exception, slide: Path) -> StoreError:
    """Return the error that a part of a slide is damaged, with the remedy."""
    reason = " ".join(str(error).split())
    return StoreError(f"{path}: damaged ({reason}); remove {slide} and prepare it again")
