"""Reading the folder `regions/`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsikd.errors import StoreError
from wsikd.geometry import Size
from wsikd.store.records import LevelRecord, SlideRecord, read_record


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
        level = self._level(slide_id, region_id, magnification)
        path = self.path / slide_id / f"{region_id}.ome.zarr" / level.path
        try:
            array = zarr.open_array(path, mode="r")
            _refuse_gaps(array, path)
            pixels = array[:]
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise _damaged(path, error, self.path / slide_id) from None
        return np.moveaxis(np.asarray(pixels, np.uint8), 0, 2)

    def size(self, slide_id: str, region_id: str, magnification: float) -> Size:
        """Return the size of one region at one magnification; errors as of `read_pixels`."""
        level = self._level(slide_id, region_id, magnification)
        return Size(level.width, level.height)

    def read_outlines(self, slide_id: str) -> dict[str, Any]:
        """Read the GeoJSON of a slide's tissue, in level-0 pixels.

        Raises
        ------
        StoreError
            If it is not there or damaged.
        """
        path = self.path / slide_id / "tissue.geojson"
        try:
            outlines: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            outlines["features"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error, path.parent) from None
        return outlines

    def thumbnail_path(self, slide_id: str) -> Path:
        """Return the path of the picture of the whole slide."""
        return self.path / slide_id / "thumbnail.png"

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


def find_damage(folder: Path) -> str | None:
    """Tell which part of a complete slide's folder is missing or cut short; None if none is.

    Only sizes and descriptions are looked at: pixels that changed are found when they are read.

    Raises
    ------
    StoreError
        If its `slide.json` is of another format version, or breaks a rule of this one.
    """
    try:
        json.loads((folder / "slide.json").read_text(encoding="utf-8"))
    except ValueError:
        return "slide.json is no JSON"
    for name in ("tissue.geojson", "thumbnail.png"):
        if not (folder / name).is_file() or (folder / name).stat().st_size == 0:
            return f"{name} is missing or empty"
    for region in read_record(folder).regions:
        for level in region.levels:
            path = folder / f"{region.region_id}.ome.zarr" / level.path
            try:
                _refuse_gaps(zarr.open_array(path, mode="r"), path)
            except (OSError, RuntimeError, ValueError, KeyError):
                return f"array {level.path} of {region.region_id} is missing or incomplete"
    return None


def _refuse_gaps(array: zarr.Array[Any], path: Path) -> None:
    """Refuse an array with missing or empty files, which zarr would read as the fill value."""
    sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    if array.nchunks_initialized < array.nchunks or 0 in sizes:
        raise ValueError("a part of it is missing")


def _damaged(path: Path, error: Exception, slide: Path) -> StoreError:
    reason = " ".join(str(error).split())
    return StoreError(f"{path}: damaged ({reason}); remove {slide} and prepare it again")
