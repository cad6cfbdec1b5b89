"""OME-Zarr images: their metadata, and their arrays written from rows that come from the top.

Metadata are axes, true scales, the place on the slide, and of a tissue region its colours.

The rules are those of the OME-NGFF specification, versions 0.4 and 0.5 [1]_.

References
----------
.. [1] https://ngff.openmicroscopy.org/specifications/0.5/
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray
from zarr.codecs import ZstdCodec

from wsikd.geometry import Mpp, PyramidLevel, Region, TissueRegion

NgffVersion = Literal["0.5", "0.4"]
"""Version of OME-Zarr that is written."""

AXES = ("c", "y", "x")


def region_attributes(
    region: TissueRegion,
    mpp: Mpp,
    levels: Sequence[PyramidLevel],
    *,
    kernel: str,
    ngff: NgffVersion,
) -> dict[str, Any]:
    """Describe a region in the attributes of its Zarr group.

    Parameters
    ----------
    region : TissueRegion
        Has its name and its place on the slide.
    mpp : Mpp
        µm per level-0 pixel of the slide.
    levels : sequence of PyramidLevel
        The arrays "0", "1", ..., largest first.
    kernel : str
        Resampling kernel that made them.
    ngff : str
        "0.5" or "0.4".
    """
    placed = [place(region.box, mpp, level.mpp, channels=True) for level in levels]
    made_by = {"lanczos": "lanczos3"}.get(kernel, kernel)
    multiscale = {
        **describe_levels(region.region_id, placed, made_by),
        "metadata": {"direct_from_original": True, "source_mpp": [mpp.x, mpp.y]},
    }
    colours = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    omero = {
        "channels": [
            {"label": label, "color": colour, "window": window, "active": True}
            for label, colour in colours
        ],
        "rdefs": {"model": "color"},
    }
    own = {"magnifications": [level.magnification for level in levels]}
    if ngff == "0.4":
        return {"multiscales": [{"version": "0.4", **multiscale}], "omero": omero, "wsikd": own}
    ome = {"version": "0.5", "multiscales": [multiscale], "omero": omero}
    return {"ome": ome, "wsikd": own}


def describe_levels(
    name: str, placed: Sequence[list[dict[str, Any]]], made_by: str, *, unit: bool = True
) -> dict[str, Any]:
    """Describe the levels of an image: an entry of "multiscales".

    Parameters
    ----------
    name : str
        Of the image.
    placed : sequence of list of dict
        What `place` returns for the arrays "0", "1", ..., largest first.
    made_by : str
        How the coarser levels were made.
    unit : bool
        Whether lengths are in µm; else they have no unit.
    """
    has_channels = len(placed[0][0]["scale"]) == 3
    space = {"type": "space", **({"unit": "micrometer"} if unit else {})}
    return {
        "name": name,
        "axes": [
            *([{"name": "c", "type": "channel"}] if has_channels else []),
            *({"name": axis, **space} for axis in "yx"),
        ],
        "datasets": [
            {"path": str(index), "coordinateTransformations": transformations}
            for index, transformations in enumerate(placed)
        ],
        "type": made_by,
    }


def place(box: Region, mpp: Mpp, pitch: Mpp, *, channels: bool) -> list[dict[str, Any]]:
    """Place a level on its slide, from the centre of the slide's first level-0 pixel.

    Parameters
    ----------
    box : Region
        Of the image in the level-0 frame, at level 0.
    mpp : Mpp
        Length of a level-0 pixel.
    pitch : Mpp
        Length of a pixel of the level.
    channels : bool
        Whether there is an axis of channels before y and x.
    """
    shift = [box.y * mpp.y + (pitch.y - mpp.y) / 2, box.x * mpp.x + (pitch.x - mpp.x) / 2]
    scale = [pitch.y, pitch.x]
    return [
        {"type": "scale", "scale": [1.0, *scale] if channels else scale},
        {"type": "translation", "translation": [0.0, *shift] if channels else shift},
    ]


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
    lone_shard : bool
        Whether an array of one chunk has a shard around it in a group of Zarr 3.
    """

    shape: tuple[int, ...]
    dtype: DTypeLike
    chunk: int
    held_rows: int
    fill_value: int
    lone_shard: bool = True


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
        is_zarr_3 = group.metadata.zarr_format == 3
        is_sharded = is_zarr_3 and (layout.lone_shard or max(height, width) > layout.chunk)
        shard = (*channels, self._rows, _shard_side(width, width, layout.chunk))
        self._array: zarr.Array[Any] = group.create_array(
            path,
            shape=layout.shape,
            dtype=layout.dtype,
            chunks=(*channels, min(layout.chunk, height), min(layout.chunk, width)),
            shards=shard if is_sharded else None,
            compressors=ZstdCodec(level=1, checksum=True) if is_zarr_3 else "auto",
            chunk_key_encoding=None if is_zarr_3 else {"name": "v2", "separator": "/"},
            dimension_names=AXES[-len(layout.shape) :] if is_zarr_3 else None,
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
