"""Reading the folder `regions/`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from PIL import Image

from wsikd.errors import StoreError
from wsikd.geometry import Size
from wsikd.store.archives import is_whole
from wsikd.store.arrays import damaged, open_whole, read_strips
from wsikd.store.checksums import CHECKSUMS
from wsikd.store.digests import slide_digest
from wsikd.store.records import (
    THUMBNAIL_SIDE,
    LevelRecord,
    RegionRecord,
    SlideRecord,
    read_record,
)


class RegionStore:
    """Reads the folder `regions/`.

    Parameters
    ----------
    path : Path
        The folder that `wsikd prepare` wrote.

    Raises
    ------
    StoreError
        If the folder is not there.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise StoreError(f"{path}: no such folder; make it with `wsikd prepare`")
        self.path = path
        self._records: dict[str, SlideRecord] = {}

    def slide_ids(self) -> list[str]:
        """List the slides that are complete, in order."""
        return sorted(path.parent.name for path in self.path.glob("[!.]*/slide.json"))

    def read_slide(self, slide_id: str) -> SlideRecord:
        """Read what is known of a slide and its regions.

        Raises
        ------
        StoreError
            If the slide is not complete, or of another format version.
        """
        if slide_id not in self._records:
            self._records[slide_id] = read_record(self.path / slide_id)
        return self._records[slide_id]

    def read_pixels(self, slide_id: str, region_id: str, magnification: float) -> NDArray[np.uint8]:
        """Read one region at one magnification.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            RGB.

        Raises
        ------
        StoreError
            If the slide, the region or the magnification is not there, or its data is damaged.
        """
        height = self.size(slide_id, region_id, magnification).height
        (pixels,) = self.read_strips(slide_id, region_id, magnification, height)
        return pixels

    def read_strips(
        self, slide_id: str, region_id: str, magnification: float, rows: int
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield one region in strips of so many rows at most, from the top, as of `read_pixels`."""
        level = self._level(slide_id, region_id, magnification)
        return read_strips(self.image_path(slide_id, region_id), level, rows)

    def image_path(self, slide_id: str, region_id: str) -> Path:
        """Return the path of a region's image, a folder or an archive."""
        return self.path / slide_id / self.read_slide(slide_id).image_name(region_id)

    def read_digest(self, slide_id: str) -> str:
        """Return what tells a slide by its pixels; of older records it is computed, once.

        Raises
        ------
        StoreError
            If the slide is not complete, or a region of an older one is damaged.
        """
        record = self.read_slide(slide_id)
        if record.pixels is None:
            pixels = slide_digest(self.path / slide_id, record)
            record = record.model_copy(update={"pixels": pixels})
            self._records[slide_id] = record
        assert record.pixels is not None, slide_id
        return record.pixels

    def size(self, slide_id: str, region_id: str, magnification: float) -> Size:
        """Return the size of one region at one magnification; errors as of `read_pixels`."""
        level = self._level(slide_id, region_id, magnification)
        return Size(level.width, level.height)

    def read_outlines(self, slide_id: str) -> dict[str, Any]:
        """Read the GeoJSON of a slide's tissue, in level-0 pixels; of a picture, its edge.

        Raises
        ------
        StoreError
            If it is not there or damaged.
        """
        record = self.read_slide(slide_id)
        if record.is_picture:
            return _edges(record)
        path = self.path / slide_id / "tissue.geojson"
        try:
            outlines: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            outlines["features"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(path, error, path.parent) from None
        return outlines

    def read_thumbnail(self, slide_id: str) -> NDArray[np.uint8]:
        """Read a small picture of the whole slide, shape (height, width, 3).

        Raises
        ------
        StoreError
            If it is not there or damaged.
        """
        record = self.read_slide(slide_id)
        if record.is_picture:
            (region,) = record.regions
            return self.read_pixels(slide_id, region.region_id, _small(region).magnification)
        path = self.path / slide_id / "thumbnail.png"
        try:
            with Image.open(path) as image:
                return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise damaged(path, error, path.parent) from None

    def magnifications(self) -> tuple[float, ...]:
        """Return the magnifications that every slide has, largest first."""
        each = [
            {
                level.magnification
                for region in self.read_slide(name).regions
                for level in region.levels
            }
            for name in self.slide_ids()
        ]
        return tuple(sorted(set.intersection(*each), reverse=True)) if each else ()

    def _level(self, slide_id: str, region_id: str, magnification: float) -> LevelRecord:
        record = self.read_slide(slide_id)
        found = [region for region in record.regions if region.region_id == region_id]
        if not found:
            raise StoreError(f"{self.path / slide_id}: no {region_id} among {len(record.regions)}")
        return found[0].level(magnification)


def _small(region: RegionRecord) -> LevelRecord:
    """Return the finest level that is no larger than a thumbnail, or the coarsest one."""
    fitting = (each for each in region.levels if max(each.width, each.height) <= THUMBNAIL_SIDE)
    return next(fitting, region.levels[-1])


def _edges(record: SlideRecord) -> dict[str, Any]:
    """Make the GeoJSON of regions that are all of their boxes."""
    features = []
    for region in record.regions:
        left, top, right, bottom = 0, 0, region.width, region.height
        ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {"objectType": "annotation", "name": region.region_id},
            }
        )
    return {"type": "FeatureCollection", "features": features}


def find_damage(folder: Path) -> str | None:
    """Tell which part of a complete slide's folder is missing or cut short; None if none is.

    Of a slide only sizes and descriptions are looked at, and the index of each shard, which is at
    its end, where there are no checksums: what else has changed is found by these, or when it is
    read. The one file of a picture is read whole.

    Raises
    ------
    StoreError
        If its `slide.json` is of another format version, or breaks a rule of this one.
    """
    try:
        json.loads((folder / "slide.json").read_text(encoding="utf-8"))
    except ValueError:
        return "slide.json is no JSON"
    record = read_record(folder)
    if record.is_picture:
        return _picture_damage(folder, record)
    for name in ("tissue.geojson", "thumbnail.png"):
        if not (folder / name).is_file() or (folder / name).stat().st_size == 0:
            return f"{name} is missing or empty"
    for region in record.regions:
        for level in region.levels:
            path = folder / f"{region.region_id}.ome.zarr" / level.path
            try:
                array = open_whole(path)
                if not (folder / CHECKSUMS).exists():
                    _read_a_pixel_of_each_shard(array)
            except (OSError, RuntimeError, ValueError, KeyError):
                return f"array {level.path} of {region.region_id} is missing or incomplete"
    return None


def _picture_damage(folder: Path, record: SlideRecord) -> str | None:
    for region in record.regions:
        name = record.image_name(region.region_id)
        if not is_whole(folder / name, [level.path for level in region.levels]):
            return f"{name} is missing or damaged"
    return None


def _read_a_pixel_of_each_shard(array: zarr.Array[Any]) -> None:
    for top in range(0, array.shape[1], (array.shards or array.shape)[1]):
        _ = array[:, top : top + 1, :1]
