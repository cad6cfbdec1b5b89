"""One slide to its folder in the store."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wsikd.config import first_difference
from wsikd.errors import ResumeError, SlideError, StoreError, WsikdError
from wsikd.geometry import Mpp, TissueRegion, format_magnification
from wsikd.hashing import files_fingerprint, source_files
from wsikd.locks import alone
from wsikd.prepare.damage import (
    check_damage,
    damage_warnings,
    naming_damage,
    record_damage,
    with_damage,
)
from wsikd.prepare.freed import keep_freed_memory
from wsikd.prepare.peak import peak_mib
from wsikd.prepare.settings import PrepareSettings
from wsikd.prepare.status import SlideStatus
from wsikd.pyramid.levels import build_pyramid, left_out, plan_levels
from wsikd.pyramid.strips import read_overview
from wsikd.slides import SlideReader, open_slide, resolution_of
from wsikd.status_table import REDO
from wsikd.store import (
    PICTURE_VERSION,
    THUMBNAIL_SIDE,
    RegionRecord,
    SlideRecord,
    SlideWriter,
    Source,
    find_damage,
    fits_archive,
    read_record,
)
from wsikd.tissue import find_tissue, to_geojson


@dataclass(frozen=True)
class SlideTask:
    """One slide to prepare."""

    slide_id: str
    path: Path
    mpp: float | None
    objective_power: float | None


def prepare_slide(task: SlideTask, store: Path, settings: PrepareSettings) -> SlideStatus:
    """Prepare one slide; what a user can act on becomes a failed row, not an exception."""
    start = time.perf_counter()
    keep_freed_memory()
    folder = store / task.slide_id
    facts: dict[str, Any] = {}
    try:
        with alone(
            store / ".locks" / task.slide_id,
            lambda holder: f"{folder}: {holder} is preparing it; try again when it is done",
        ):
            wanted = settings.of_slide(task.mpp, task.objective_power)
            source = _source_of(task.path)
            damage = _damage(folder, settings)
            record = None if damage else _finished(folder, wanted, source, settings)
            status: Literal["done", "skipped"] = "skipped" if record else "done"
            record = record or _make(task, store, settings, wanted, source)
            facts = {"status": status, **_facts(record, *damage)}
    except (WsikdError, OSError) as error:
        kept = kept_facts(folder)
        facts = {**kept, "status": "failed", "error": " ".join(str(error).split())}
    return SlideStatus(
        slide_id=task.slide_id,
        path=str(task.path),
        seconds=round(time.perf_counter() - start, 2),
        peak_mib=peak_mib(),
        **facts,
    )


def kept_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of a finished slide that failed when it was tried again, and so stays."""
    try:
        return {} if find_damage(folder) else _facts(read_record(folder))
    except (StoreError, OSError):
        return {}


def _damage(folder: Path, settings: PrepareSettings) -> tuple[str, ...]:
    """Return a warning that a slide is redone, if it was complete and lacks something now."""
    if settings.overwrite or not (folder / "slide.json").exists():
        return ()
    damage = find_damage(folder)
    return (f"prepared again, as {damage}",) if damage else ()


def _finished(
    folder: Path, wanted: dict[str, Any], source: Source, settings: PrepareSettings
) -> SlideRecord | None:
    """Return the slide's record if it is complete and was made from the same slide and settings."""
    if settings.overwrite or not (folder / "slide.json").exists():
        return None
    record = read_record(folder)
    difference = first_difference(record.settings, wanted)
    if difference is not None:
        key, before, now = difference
        raise ResumeError(
            f"{folder}: was prepared with {key} {before}, now asked for {now}; {REDO}"
        )
    if record.source.sha256 != source.sha256:
        raise ResumeError(f"{folder}: the slide {source.name} changed since; {REDO}")
    check_damage(folder, record, settings.max_damaged)
    return record


def _make(
    task: SlideTask, store: Path, settings: PrepareSettings, wanted: dict[str, Any], source: Source
) -> SlideRecord:
    with open_slide(task.path, reader=settings.reader) as reader:
        resolution = resolution_of(reader, mpp=task.mpp, objective_power=task.objective_power)
        mpp = resolution.mpp
        reader.tolerate_damage()  # to count and place all of it; too much is refused below
        warnings = (*resolution.warnings, *reader.notes, *_coarseness(reader, mpp, settings))
        with naming_damage(reader):
            tissue = find_tissue(reader, mpp, settings.tissue)
        is_picture = settings.makes_pictures and _is_picture(reader, tissue)
        writer = SlideWriter(store, task.slide_id, settings.ngff)
        try:
            regions = _regions(reader, tissue, mpp, settings, writer, archived=is_picture)
            overview = () if is_picture else (to_geojson(tissue, mpp), _thumbnail(reader, mpp))
            damaged = record_damage(reader)
            record = SlideRecord(
                version=PICTURE_VERSION if is_picture else 1,
                slide_id=task.slide_id,
                settings=wanted,
                source=source,
                slide_format=reader.format,
                reader=reader.name,
                reader_version=reader.version,
                width=reader.size.width,
                height=reader.size.height,
                mpp=mpp,
                mpp_source=resolution.source,
                objective_power=reader.objective_power,
                warnings=warnings,
                regions=with_damage(regions, damaged),
                damaged=damaged,
            )
            check_damage(task.path, record, settings.max_damaged)
            writer.commit(record, *overview)
        finally:
            writer.discard()
    return record


def _regions(
    reader: SlideReader,
    tissue: Sequence[TissueRegion],
    mpp: Mpp,
    settings: PrepareSettings,
    writer: SlideWriter,
    *,
    archived: bool,
) -> Iterator[RegionRecord]:
    """Write each region of a slide at all magnifications."""
    kernel = settings.pyramid.kernel
    for region in tissue:
        levels = plan_levels(region.box.size, mpp, settings.pyramid)
        rows = build_pyramid(reader, region.box, levels, kernel)
        yield writer.write_region(region, mpp, levels, rows, kernel=kernel, archived=archived)


def _is_picture(reader: SlideReader, tissue: Sequence[TissueRegion]) -> bool:
    """Tell whether a slide is one region that is all of it, and small enough for one file."""
    whole = reader.size.width * reader.size.height
    return [region.outline.area for region in tissue] == [whole] and fits_archive(reader.size)


def _coarseness(reader: SlideReader, mpp: Mpp, settings: PrepareSettings) -> Iterator[str]:
    """Warn of magnifications the slide is too coarse for; raise if that is all of them."""
    try:
        levels = plan_levels(reader.size, mpp, settings.pyramid)
    except SlideError as error:
        raise SlideError(f"{reader.path}: {error}") from None
    missing = left_out(levels, settings.pyramid)
    if missing:
        names = ", ".join(format_magnification(value) for value in missing)
        yield f"{names} left out, the slide's own {max(mpp):g} µm per pixel is coarser"


def _thumbnail(reader: SlideReader, mpp: Mpp) -> NDArray[np.uint8]:
    extent_um = max(reader.size.width * mpp.x, reader.size.height * mpp.y)
    return read_overview(reader, mpp, max(*mpp, extent_um / THUMBNAIL_SIDE))[0]


def _facts(record: SlideRecord, *noted: str) -> dict[str, Any]:
    made = {level.magnification for region in record.regions for level in region.levels}
    return {
        "regions": len(record.regions),
        "magnifications": " ".join(f"{value:g}" for value in sorted(made, reverse=True)),
        "reader": record.reader_version,
        "mpp": round(sum(record.mpp) / 2, 5),
        "mpp_source": record.mpp_source,
        "warnings": "; ".join((*noted, *damage_warnings(record), *record.warnings)),
        "megapixels": round(sum(one.width * one.height for one in record.regions) / 1e6, 3),
    }


def _source_of(path: Path) -> Source:
    """Fingerprint a slide without reading all of it: size, first and last MiB of every file."""
    if not path.exists():
        raise SlideError(f"{path}: no such file; correct its path in the manifest")
    files = source_files(path)
    total = sum(file.stat().st_size for file in files)
    return Source(name=path.name, bytes=total, sha256=files_fingerprint(files))
