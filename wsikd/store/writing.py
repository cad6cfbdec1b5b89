"""Writing one slide into the folder `regions/`: whole or not at all."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray
from PIL import Image
from zarr.codecs import ZstdCodec

from wsikd.files import sync, write_json
from wsikd.geometry import Mpp, PyramidLevel, TissueRegion
from wsikd.store.ome import NgffVersion, region_attributes
from wsikd.store.records import LevelRecord, RegionRecord, SlideRecord

_CHUNK = 512
_SHARD_BYTES = 64 * 2**20  # what a writer holds of one level, at most


class SlideWriter:
    """Writes one slide into a store; what is not committed leaves no trace.

    Parameters
    ----------
    store : Path
        The folder `regions/`; made if absent.
    slide_id : str
        Name of the slide's folder.
    ngff : str
        Version of OME-Zarr: "0.5" (Zarr 3, one shard per level) or "0.4" (Zarr 2, many files, for
        viewers that read nothing newer).
    """

    def __init__(self, store: Path, slide_id: str, ngff: NgffVersion = "0.5") -> None:
        self.final = store / slide_id
        self.folder = store / f".{slide_id}.partial"
        self.ngff = ngff
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def write_region(
        self,
        region: TissueRegion,
        mpp: Mpp,
        levels: Sequence[PyramidLevel],
        rows: Iterable[tuple[int, NDArray[np.uint8]]],
        *,
        kernel: str = "lanczos",
    ) -> RegionRecord:
        """Write one region from the strips that `wsikd.pyramid.levels.build_pyramid` yields."""
        path = self.folder / f"{region.region_id}.ome.zarr"
        zarr_format: Literal[2, 3] = 3 if self.ngff == "0.5" else 2
        group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
        group.attrs.update(region_attributes(region, mpp, levels, kernel=kernel, ngff=self.ngff))
        writers = [_LevelWriter(group, str(index), level) for index, level in enumerate(levels)]
        for index, strip in rows:
            writers[index].push(strip)
        for writer in writers:
            writer.finish()
        return _region_record(region, mpp, levels)

    def commit(
        self, record: SlideRecord, outlines: dict[str, Any], thumbnail: NDArray[np.uint8]
    ) -> None:
        """Write the rest, flush all to disk and give the slide its name."""
        write_json(self.folder / "tissue.geojson", outlines)
        Image.fromarray(thumbnail).save(self.folder / "thumbnail.png", optimize=True)
        write_json(self.folder / "slide.json", record.model_dump(mode="json"))
        for path in self.folder.rglob("*"):
            sync(path)
        if self.final.exists():
            shutil.rmtree(self.final)
        self.folder.rename(self.final)
        sync(self.final.parent)

    def discard(self) -> None:
        """Remove what was written; harmless after `commit`."""
        shutil.rmtree(self.folder, ignore_errors=True)


class _LevelWriter:
    """Gathers rows until they fill a row of shards: a shard can only be written whole."""

    def __init__(self, group: zarr.Group, path: str, level: PyramidLevel) -> None:
        width, height = level.size
        chunk = (3, min(_CHUNK, height), min(_CHUNK, width))
        self.shard_rows = _shard_side(height, _SHARD_BYTES // (3 * width))
        sharded = group.metadata.zarr_format == 3
        self.array = group.create_array(
            path,
            shape=(3, height, width),
            dtype="uint8",
            chunks=chunk,
            shards=(3, self.shard_rows, _shard_side(width, width)) if sharded else None,
            compressors=ZstdCodec(level=1, checksum=True) if sharded else "auto",
            chunk_key_encoding=None if sharded else {"name": "v2", "separator": "/"},
            dimension_names=("c", "y", "x") if sharded else None,
            fill_value=255,
            config={"write_empty_chunks": True},  # so that what is missing is not taken for glass
        )
        self.held: list[NDArray[np.uint8]] = []
        self.top = 0

    def push(self, rows: NDArray[np.uint8]) -> None:
        self.held.append(rows)
        while sum(map(len, self.held)) >= self.shard_rows:
            gathered = np.concatenate(self.held)
            self._write(gathered[: self.shard_rows])
            self.held = [gathered[self.shard_rows :]]

    def finish(self) -> None:
        self._write(np.concatenate(self.held))
        assert self.top == self.array.shape[1], (self.top, self.array.shape)

    def _write(self, rows: NDArray[np.uint8]) -> None:
        if len(rows):
            self.array[:, self.top : self.top + len(rows)] = np.moveaxis(rows, 2, 0)
            self.top += len(rows)


def _shard_side(side: int, limit: int) -> int:
    """Give a shard's side: the whole side, or as many whole chunks as the limit allows."""
    if side <= _CHUNK:
        return side
    chunks = max(1, min(-(-side // _CHUNK), -(-limit // _CHUNK)))
    return chunks * _CHUNK


def _region_record(region: TissueRegion, mpp: Mpp, levels: Sequence[PyramidLevel]) -> RegionRecord:
    box = region.box
    return RegionRecord(
        region_id=region.region_id,
        x=box.x,
        y=box.y,
        width=box.size.width,
        height=box.size.height,
        area_um2=round(region.outline.area * mpp.x * mpp.y, 1),
        levels=tuple(
            LevelRecord(
                magnification=level.magnification,
                path=str(index),
                width=level.size.width,
                height=level.size.height,
                mpp=level.mpp,
            )
            for index, level in enumerate(levels)
        ),
    )
