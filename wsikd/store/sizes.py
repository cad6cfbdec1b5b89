"""How many bytes pixels take on disk, found by writing them into memory."""

from typing import Literal

import numpy as np
import zarr
from zarr.storage import MemoryStore

from wsikd.geometry import Pixels
from wsikd.store.ome import Layout, NgffVersion, RowWriter

_CHUNK = 512


def stored_bytes(pixels: Pixels, ngff: NgffVersion = "0.5") -> int:
    """Compute how many bytes an image takes as the array of a region, without its metadata.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        The image.
    ngff : str
        Version of OME-Zarr, which decides how it is compressed.
    """
    height, width = pixels.shape[:2]
    memory = MemoryStore({})
    zarr_format: Literal[2, 3] = 3 if ngff == "0.5" else 2
    group = zarr.open_group(memory, mode="w", zarr_format=zarr_format)
    writer = RowWriter(group, "0", Layout((3, height, width), np.uint8, _CHUNK, height, 255))
    writer.push(np.moveaxis(pixels, 2, 0))
    writer.finish()
    held = memory._store_dict
    return sum(
        len(value)
        for key, value in held.items()
        if not key.endswith((".json", ".zarray", ".zattrs", ".zgroup"))
    )
