"""Writing one slide into the folder `regions/`: whole or not at all."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray
from PIL import Image
from zarr.storage import MemoryStore

from wsikd.files import publish, write_json
from wsikd.geometry import Mpp, PyramidLevel, Size, TissueRegion
from wsikd.store.archives import SUFFIX, Entries, write_archive
from wsikd.store.checksums import write_checksums
from wsikd.store.digests import slide_digest
from wsikd.store.ome import Layout, NgffVersion, RowWriter, region_attributes
from wsikd.store.records import LevelRecord, RegionRecord, SlideRecord

_CHUNK = 512
_HELD_BYTES = 64 * 2**20  # what a writer holds of one level, at most
_WHITE = 255


def fits_archive(size: Size) -> bool:
    """Tell whether a region of that size at level 0 is small enough to be written to one file."""
    return 3 * size.width * size.height <= _HELD_BYTES


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
        archived: bool = False,
    ) -> RegionRecord:
        """Write one region from the strips that `wsikd.pyramid.levels.build_pyramid` yields.

        With `archived` it is one file, which is made in memory: see `fits_archive`.
        """
        attributes = region_attributes(region, mpp, levels, kernel=kernel, ngff=self.ngff)
        layouts = [_layout(level.size) for level in levels]
        if archived:
            entries: Entries = {}
            lone = [layout._replace(lone_shard=False) for layout in layouts]
            _write_image(MemoryStore(entries), attributes, lone, rows)
            write_archive(self.folder / f"{region.region_id}{SUFFIX}", entries)
        else:
            path = self.folder / f"{region.region_id}.ome.zarr"
            zarr_format: Literal[2, 3] = 3 if self.ngff == "0.5" else 2
            _write_image(path, attributes, layouts, rows, zarr_format=zarr_format)
        return _region_record(region, mpp, levels)

    def commit(
        self,
        record: SlideRecord,
        outlines: dict[str, Any] | None = None,
        thumbnail: NDArray[np.uint8] | None = None,
    ) -> None:
        """Write the rest, flush all to disk and rename the folder to the slide's.

        A picture has neither outlines nor a thumbnail, as its region is both, and no checksums, as
        its one file has its own.
        """
        if not record.is_picture:
            assert outlines is not None
            assert thumbnail is not None
            write_json(self.folder / "tissue.geojson", outlines)
            Image.fromarray(thumbnail).save(self.folder / "thumbnail.png", optimize=True)
        known = record.document(pixels=slide_digest(self.folder, record))
        write_json(self.folder / "slide.json", known)
        if not record.is_picture:
            write_checksums(self.folder)
        publish(self.folder, self.final)

    def discard(self) -> None:
        """Remove what was written; harmless after `commit`."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _write_image(
    place: Path | MemoryStore,
    attributes: dict[str, Any],
    layouts: Sequence[Layout],
    rows: Iterable[tuple[int, NDArray[np.uint8]]],
    *,
    zarr_format: Literal[2, 3] = 3,
) -> None:
    """Write the arrays "0", "1", ... of an image from strips of their rows."""
    group = zarr.open_group(place, mode="w", zarr_format=zarr_format, attributes=attributes)
    writers = [RowWriter(group, str(index), layout) for index, layout in enumerate(layouts)]
    for index, strip in rows:
        writers[index].push(np.moveaxis(strip, 2, 0))
    for writer in writers:
        writer.finish()


def _layout(size: Size) -> Layout:
    width, height = size
    rows = _HELD_BYTES // (3 * width)
    return Layout((3, height, width), np.uint8, _CHUNK, rows, fill_value=_WHITE)


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
