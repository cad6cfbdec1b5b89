"""Arrays of OME-Zarr images, written from rows that come from the top."""

from typing import Any, NamedTuple

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray
from zarr.codecs import ZstdCodec

AXES = ("c", "y", "x")


class Layout(NamedTuple):
    """How an array is laid out on disk.

    Attributes
    ----------
    shape : tuple of int
        (channels, height, width), or (height, width).
    dtype : data type
        Of its values.
    chunk : int
        Side of a chunk in pixels, which holds all channels.
    held_rows : int
        Rows held while it is written, at most, rounded up to whole chunks: also those of a shard.
    fill_value : int
        What viewers show where nothing was written.
    """

    shape: tuple[int, ...]
    dtype: DTypeLike
    chunk: int
    held_rows: int
    fill_value: int


class RowWriter:
    """Writes an array from rows; gathers them into rows of shards, which are written whole.

    In a group of Zarr 3 the array has one shard across its width, compressed by zstd with
    checksums; in one of Zarr 2 it has no shards, and zarr's own compression.

    Parameters
    ----------
    group : zarr.Group
        Gets the array.
    path : str
        Of the array in the group.
    layout : Layout
        Of the array.
    """

    def __init__(self, group: zarr.Group, path: str, layout: Layout) -> None:
        *channels, height, width = layout.shape
        self._rows = _shard_side(height, layout.held_rows, layout.chunk)
        is_sharded = group.metadata.zarr_format == 3
        shard = (*channels, self._rows, _shard_side(width, width, layout.chunk))
        self._array: zarr.Array[Any] = group.create_array(
            path,
            shape=layout.shape,
            dtype=layout.dtype,
            chunks=(*channels, min(layout.chunk, height), min(layout.chunk, width)),
            shards=shard if is_sharded else None,
            compressors=ZstdCodec(level=1, checksum=True) if is_sharded else "auto",
            chunk_key_encoding=None if is_sharded else {"name": "v2", "separator": "/"},
            dimension_names=AXES[-len(layout.shape) :] if is_sharded else None,
            fill_value=layout.fill_value,
            config={"write_empty_chunks": True},  # so that what is missing is not taken for it
        )
        self._held = np.empty((*channels, min(self._rows, height), width), layout.dtype)
        self._taken = 0

    def push(self, rows: NDArray[Any]) -> None:
        """Take the next rows, shape (channels, any, width) or (any, width)."""
        most = self._held.shape[-2]
        while rows.shape[-2]:
            at = self._taken % most
            fitting = rows[..., : most - at, :]
            count = fitting.shape[-2]
            self._held[..., at : at + count, :] = fitting
            self._taken += count
            rows = rows[..., count:, :]
            if self._taken % most == 0:
                self._write(most)

    def finish(self) -> None:
        """Write what is held; all rows must have come."""
        self._write(self._taken % self._held.shape[-2])
        assert self._taken == self._array.shape[-2], (self._taken, self._array.shape)

    def _write(self, count: int) -> None:
        if count:
            self._array[..., self._taken - count : self._taken, :] = self._held[..., :count, :]


def _shard_side(side: int, limit: int, chunk: int) -> int:
    """Compute a shard's side: the whole side, or as many whole chunks as the limit allows."""
    if side <= chunk:
        return side
    chunks = max(1, min(-(-side // chunk), -(-limit // chunk)))
    return chunks * chunk
