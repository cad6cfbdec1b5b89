"""Whether what is there of a slide is as it was written, and as the formats say: read in full."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from wsikd.config import Settings
from wsikd.errors import StoreError
from wsikd.store.archives import SUFFIX
from wsikd.store.arrays import open_whole, opened_group, read_strips
from wsikd.store.checksums import find_changes
from wsikd.store.records import RegionRecord, SlideRecord, read_record

_ROWS = 512  # read at once
_DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError)


class Finding(Settings):
    """One thing that was found: wrong, or to be noted."""

    slide_id: str
    state: Literal["wrong", "note"]
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the finding in one line."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.state:<5}  {self.slide_id}: {self.found}{remedy}"


def examine_slide(folder: Path) -> Iterator[Finding]:
    """Examine a complete slide's folder: checksums, record, structure, arrays and pictures."""
    try:
        record = read_record(folder)
    except StoreError as error:
        yield Finding(slide_id=folder.name, state="wrong", found=str(error))
        return
    changes = find_changes(folder)
    found = [*(changes or ()), *_examine_parts(folder, record)]
    if changes is None and not record.is_picture:
        yield Finding(
            slide_id=folder.name,
            state="note",
            found="has no checksums, as an older version prepared it; its pixels were decoded",
            remedy="prepare it with --overwrite to have some",
        )
    if changes is None:  # the one file of a picture has its own
        found += _decode(folder, record)
    remedy = f"remove {folder} and run wsikd prepare"
    for wrong in dict.fromkeys(found):
        yield Finding(slide_id=folder.name, state="wrong", found=wrong, remedy=remedy)


def _examine_parts(folder: Path, record: SlideRecord) -> Iterator[str]:
    if record.slide_id != folder.name:
        yield f"slide.json is of the slide {record.slide_id}"
    if not record.is_picture:
        yield from _examine_outlines(folder / "tissue.geojson", len(record.regions))
        yield from _examine_thumbnail(folder / "thumbnail.png")
    for region in record.regions:
        yield from _examine_region(folder / record.image_name(region.region_id), region)
    known = {record.image_name(region.region_id) for region in record.regions}
    for path in sorted([*folder.glob("*.ome.zarr"), *folder.glob(f"*{SUFFIX}")]):
        if path.name not in known:
            yield f"{path.name} is not in slide.json"


def _examine_thumbnail(path: Path) -> Iterator[str]:
    try:
        with Image.open(path) as picture:
            picture.verify()
    except (OSError, SyntaxError, ValueError):
        yield f"{path.name} is no picture"


def _examine_outlines(path: Path, regions: int) -> Iterator[str]:
    try:
        count = len(json.loads(path.read_text(encoding="utf-8"))["features"])
    except _DAMAGE:
        yield "tissue.geojson is no GeoJSON"
        return
    if count not in (0, regions):
        yield f"tissue.geojson has {count} outlines of {regions} regions"


def _examine_region(path: Path, region: RegionRecord) -> Iterator[str]:
    try:
        _validate(path)
    except _DAMAGE as error:
        yield f"{path.name} is no OME-Zarr ({_first_line(error)})"
    for level in region.levels:
        expected = (3, level.height, level.width)
        try:
            shape = open_whole(path / level.path).shape
        except _DAMAGE:
            yield f"array {level.path} of {region.region_id} is missing or incomplete"
            continue
        if shape != expected:
            yield f"array {level.path} of {region.region_id} is {shape}, by slide.json {expected}"


def _validate(path: Path) -> None:
    """Raise what ome-zarr-models raises if an image is not as NGFF says.

    Raises
    ------
    OSError, RuntimeError, ValueError, KeyError, TypeError
        Of zarr or pydantic.
    """
    models = _models()
    with warnings.catch_warnings(action="ignore"), opened_group(path) as group:
        if models is not None:
            kind: Any = models.v05.Image if group.metadata.zarr_format == 3 else models.v04.Image
            kind.from_zarr(group)


def can_validate() -> bool:
    """Tell whether the package is installed that knows how an OME-Zarr must be."""
    return _models() is not None


def _models() -> Any:
    try:
        import ome_zarr_models.v04  # noqa: PLC0415  not on a machine that trains
        import ome_zarr_models.v05  # noqa: PLC0415
    except ImportError:
        return None
    return ome_zarr_models


def _decode(folder: Path, record: SlideRecord) -> Iterator[str]:
    """Yield the arrays that cannot be decoded; what their own checksums cover is found so."""
    for region in record.regions:
        for level in region.levels:
            try:
                for _ in read_strips(folder / record.image_name(region.region_id), level, _ROWS):
                    pass
            except StoreError:
                yield f"array {level.path} of {region.region_id} cannot be decoded"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:3])[:200]
