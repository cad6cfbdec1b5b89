"""What `prepare` would do with each slide of a manifest; nothing is written."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from distributed import KilledWorker, as_completed

from wsikd.config import Settings
from wsikd.errors import SlideError, WsikdError
from wsikd.prepare.batch import deal, slide_task
from wsikd.prepare.cluster import start_workers
from wsikd.prepare.complete import find_harm, refuse_other_settings, refuse_other_source
from wsikd.prepare.estimate import Estimate, estimate_slide
from wsikd.prepare.settings import PrepareSettings
from wsikd.prepare.slide import SlideTask, settings_of
from wsikd.prepare.source import list_files
from wsikd.prepare.stamps import read_stamps, see
from wsikd.slides import open_slide, resolution_of
from wsikd.store import read_record
from wsikd.tissue import search_tissue

_WORTH_PROCESSES = 3  # slides: fewer are looked at before processes have started


class SlidePlan(Settings):
    """What would become of one slide."""

    slide_id: str
    status: Literal["to do", "complete", "failed"]
    estimate: Estimate | None = None
    warnings: tuple[str, ...] = ()
    error: str = ""


class PlanTotal(Settings):
    """What would become of all slides; `bytes` and `seconds` are estimates."""

    to_do: int
    complete: int
    failed: int
    regions: int
    region_pixels: int
    bytes: int
    seconds: float
    """With as many slides at once as the settings say."""
    workers: int


def plan_slides(
    manifest: pd.DataFrame,
    store: Path,
    settings: PrepareSettings,
    on_done: Callable[[SlidePlan], None] = lambda _: None,
) -> list[SlidePlan]:
    """Find out what `prepare_slides` would do with every slide of a manifest, by the same settings.

    Parameters
    ----------
    manifest : DataFrame
        As `wsikd.cohort.manifest.read_manifest` returns it.
    store : Path
        The folder `regions/`; need not be there, and is not touched.
    settings : PrepareSettings
        How.
    on_done : callable
        Told the plan of each slide as it comes.

    Returns
    -------
    list of SlidePlan
        One per slide, in the manifest's order; of a job of an array for its own.
    """
    tasks = [slide_task(row, settings) for row in manifest.to_dict("records")]
    tasks = deal(tasks, settings.shard)
    by_id = {}
    for plan in _plans(tasks, store, settings):
        by_id[plan.slide_id] = plan
        on_done(plan)
    return [by_id[task.slide_id] for task in tasks]


def plan_slide(task: SlideTask, store: Path, settings: PrepareSettings) -> SlidePlan:
    """Find out what `prepare_slide` would do with a slide: what would fail is told, not raised."""
    try:
        return _plan(task, store, settings)
    except (WsikdError, OSError) as error:
        told = " ".join(str(error).split())
        return SlidePlan(slide_id=task.slide_id, status="failed", error=told)


def add_up(plans: Sequence[SlidePlan], settings: PrepareSettings) -> PlanTotal:
    """Compute what all slides would take together."""
    estimates = [plan.estimate for plan in plans if plan.estimate is not None]
    workers = settings.workers if settings.workers is not None else os.cpu_count() or 1
    at_once = max(1, min(workers, len(estimates)))
    seconds = [one.seconds for one in estimates]
    return PlanTotal(
        to_do=len(estimates),
        complete=sum(plan.status == "complete" for plan in plans),
        failed=sum(plan.status == "failed" for plan in plans),
        regions=sum(one.regions for one in estimates),
        region_pixels=sum(one.region_pixels for one in estimates),
        bytes=sum(one.bytes for one in estimates),
        seconds=round(max(sum(seconds) / at_once, max(seconds, default=0)), 1),
        workers=at_once,
    )


def _plan(task: SlideTask, store: Path, settings: PrepareSettings) -> SlidePlan:
    if not task.path.exists():
        raise SlideError(f"{task.path}: no such file; correct its path in the manifest")
    harm = _find_harm(task, store, settings)
    if harm is None:
        return SlidePlan(slide_id=task.slide_id, status="complete")
    with open_slide(task.path, reader=settings.reader) as reader:
        resolution = resolution_of(reader, mpp=task.mpp, objective_power=task.objective_power)
        start = time.perf_counter()
        regions, doubts = search_tissue(
            reader, resolution.mpp, settings.tissue, mask_path=task.mask_path
        )
        searched = time.perf_counter() - start
        estimate = estimate_slide(reader, resolution.mpp, regions, settings, searched)
    return SlidePlan(
        slide_id=task.slide_id,
        status="to do",
        estimate=estimate,
        warnings=(*harm, *resolution.warnings, *reader.notes, *doubts),
    )


def _find_harm(task: SlideTask, store: Path, settings: PrepareSettings) -> tuple[str, ...] | None:
    """Return None of a slide that is complete, else why a complete one would be made again.

    Raises
    ------
    ResumeError
        If it was prepared with other settings, or from files that have changed since.
    """
    folder = store / task.slide_id
    if settings.overwrite or not (folder / "slide.json").exists():
        return ()
    stamps = read_stamps(store, task.slide_id)
    harm = find_harm(folder, stamps)
    if harm is not None:
        return (f"prepared again, as {harm}",)
    record = read_record(folder)
    refuse_other_settings(folder, record, settings_of(task, settings))
    seen = see(list_files(task.path), task.path.parent)
    refuse_other_source(folder, record, task.path, seen, stamps)
    return None


def _plans(tasks: list[SlideTask], store: Path, settings: PrepareSettings) -> Iterator[SlidePlan]:
    """Yield the plans as they are ready, by worker processes of this machine if any are asked for.

    A scheduler's machines are not asked: the slides and the store are looked at from here.
    """
    if settings.workers == 0 or len(tasks) < _WORTH_PROCESSES:
        yield from (plan_slide(task, store, settings) for task in tasks)
        return
    with start_workers(min(settings.workers or os.cpu_count() or 1, len(tasks))) as client:
        futures = client.map(plan_slide, tasks, store=store, settings=settings, pure=False)
        task_of = dict(zip(futures, tasks, strict=True))
        for future in as_completed(futures):
            task, failure = task_of[future], future.exception()
            if failure is None:
                yield future.result()
            elif isinstance(failure, KilledWorker):
                error = f"{task.path}: the worker died twice on it; try another --reader"
                yield SlidePlan(slide_id=task.slide_id, status="failed", error=error)
            else:  # a bug
                raise failure
