"""One slide to its folder in the store."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wsikd.errors import (
    BusyError,
    MaskError,
    SlideError,
    StoreError,
    UnwritableError,
    WsikdError,
)
from wsikd.files import explain_file, is_unwritable
from wsikd.geometry import Mpp, TissueRegion, format_magnification
from wsikd.hashing import file_digest
from wsikd.locks import alone
from wsikd.prepare.complete import (
    find_harm,
    refuse_other_settings,
    refuse_other_source,
    renew_stamps,
)
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
from wsikd.prepare.source import WholeHash, list_files, read_source
from wsikd.prepare.stamps import Seen, read_stamps, see, write_stamps
from wsikd.prepare.status import SlideStatus
from wsikd.prepare.tracebacks import drop_traceback, keep_traceback
from wsikd.pyramid.levels import build_pyramid, left_out, plan_levels
from wsikd.pyramid.strips import read_overview
from wsikd.slides import SlideReader, open_slide, resolution_of
from wsikd.store import (
    PICTURE_VERSION,
    THUMBNAIL_SIDE,
    RegionRecord,
    SlideRecord,
    SlideWriter,
    find_damage,
    fits_archive,
    read_record,
)
from wsikd.tissue import search_tissue, to_geojson


@dataclass(frozen=True)
class SlideTask:
    """One slide to prepare."""

    slide_id: str
    path: Path
    mpp: float | None
    objective_power: float | None
    mask_path: Path | None = None


def settings_of(task: SlideTask, settings: PrepareSettings) -> dict[str, Any]:
    """Return what decides the content of a slide's folder, its mask included."""
    mask = None
    if task.mask_path is not None:
        try:
            mask = file_digest(task.mask_path)
        except FileNotFoundError:
            raise MaskError(
                f"{task.mask_path}: no such file; correct mask_path in the manifest"
            ) from None
    return settings.of_slide(task.mpp, task.objective_power, mask)


def prepare_slide(task: SlideTask, store: Path, settings: PrepareSettings) -> SlideStatus:
    """Prepare one slide; whatever goes wrong with it becomes its row, not an exception.

    Raises
    ------
    UnwritableError
        If nothing more can be written to the store: that is no fault of this slide.
    """
    start = time.perf_counter()
    keep_freed_memory()
    folder = store / task.slide_id
    try:
        with alone(
            store / ".locks" / task.slide_id,
            lambda holder: f"{folder}: {holder} is preparing it; try again when it is done",
        ):
            facts = _prepare(task, store, settings)
            drop_traceback(store, task.slide_id)
    except BusyError as error:
        facts = {"status": "busy", "error": str(error)}
    # the one place that takes every exception: a slide that meets a bug must not end the batch
    except Exception as error:  # noqa: BLE001
        facts = _failed(task, store, error)
    return SlideStatus(
        slide_id=task.slide_id,
        path=str(task.path),
        seconds=round(time.perf_counter() - start, 2),
        peak_mib=peak_mib(),
        **facts,
    )


def _failed(task: SlideTask, store: Path, error: Exception) -> dict[str, Any]:
    """Return the facts of a slide that failed."""
    if isinstance(error, OSError) and is_unwritable(error, store):
        raise UnwritableError(explain_file(error, store)) from None
    if isinstance(error, OSError):
        told = explain_file(error, None if error.filename else task.path)
    elif isinstance(error, WsikdError):
        told = str(error)
    else:
        told = f"{task.path}: {keep_traceback(store, task.slide_id, error)}"
    kept = kept_facts(store / task.slide_id)
    return {**kept, "status": "failed", "error": " ".join(told.split())}


def kept_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of a finished slide that failed when it was tried again, and so stays."""
    try:
        return {} if find_damage(folder) else _facts(read_record(folder))
    except (StoreError, OSError):
        return {}


def _prepare(task: SlideTask, store: Path, settings: PrepareSettings) -> dict[str, Any]:
    """Prepare a slide unless it is complete, and return the facts of its row."""
    if not task.path.exists():
        raise SlideError(f"{task.path}: no such file; correct its path in the manifest")
    folder = store / task.slide_id
    wanted = settings_of(task, settings)
    seen, stamps = see(list_files(task.path), task.path.parent), read_stamps(store, task.slide_id)
    is_there = not settings.overwrite and (folder / "slide.json").exists()
    harm = find_harm(folder, stamps) if is_there else None
    status: Literal["done", "skipped"] = "skipped" if is_there and harm is None else "done"
    if status == "skipped":
        record = read_record(folder)
        refuse_other_settings(folder, record, wanted)
        check_damage(folder, record, settings.max_damaged)
        known_by = refuse_other_source(folder, record, task.path, seen, stamps)
    else:
        record = _make(task, store, settings, wanted, seen)
        known_by = "content" if record.source.whole else "times"
    write_stamps(store, task.slide_id, renew_stamps(folder, seen, stamps))
    noted = () if harm is None else (f"prepared again, as {harm}",)
    return {"status": status, **_facts(record, *noted), "known_by": known_by}


def _make(
    task: SlideTask, store: Path, settings: PrepareSettings, wanted: dict[str, Any], seen: Seen
) -> SlideRecord:
    with (
        WholeHash(seen.files) as hashing,
        open_slide(task.path, reader=settings.reader) as reader,
        _discarding(SlideWriter(store, task.slide_id, settings.ngff)) as writer,
    ):
        resolution = resolution_of(reader, mpp=task.mpp, objective_power=task.objective_power)
        mpp = resolution.mpp
        reader.tolerate_damage()  # to count and place all of it; too much is refused below
        warnings = (*resolution.warnings, *reader.notes, *_coarseness(reader, mpp, settings))
        with naming_damage(reader):
            tissue, doubts = search_tissue(reader, mpp, settings.tissue, mask_path=task.mask_path)
        is_picture = _is_picture(task, reader, tissue, settings)
        regions = tuple(_regions(reader, tissue, mpp, settings, writer, archived=is_picture))
        overview = () if is_picture else (to_geojson(tissue, mpp), _thumbnail(reader, mpp))
        damaged = record_damage(reader)
        record = SlideRecord(
            version=PICTURE_VERSION if is_picture else 1,
            slide_id=task.slide_id,
            settings=wanted,
            source=read_source(task.path, hashing.wait_patiently()),
            slide_format=reader.format,
            reader=reader.name,
            reader_version=reader.version,
            width=reader.size.width,
            height=reader.size.height,
            mpp=mpp,
            mpp_source=resolution.source,
            objective_power=reader.objective_power,
            warnings=(*warnings, *doubts),
            regions=with_damage(regions, damaged),
            damaged=damaged,
        )
        if not seen.is_as_it_was():
            raise SlideError(
                f"{task.path}: was written to while it was prepared; "
                "run the same command when it is copied whole"
            )
        check_damage(task.path, record, settings.max_damaged)
        writer.commit(record, *overview)
    return record


@contextmanager
def _discarding(writer: SlideWriter) -> Iterator[SlideWriter]:
    """Remove what a writer did not commit at the end of the block."""
    try:
        yield writer
    finally:
        writer.discard()


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


def _is_picture(
    task: SlideTask, reader: SlideReader, tissue: Sequence[TissueRegion], settings: PrepareSettings
) -> bool:
    """Tell whether a slide is one region that is all of it, and small enough for one file."""
    if not settings.makes_pictures or task.mask_path is not None:
        return False
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
