"""Many slides at once, through dask's scheduler: one bad slide never halts the rest."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from distributed import Client, KilledWorker

from wsikd.errors import ConfigError, StoreError
from wsikd.prepare.cluster import start_workers
from wsikd.prepare.pictures import ask_bundles
from wsikd.prepare.settings import PrepareSettings
from wsikd.prepare.slide import SlideTask, kept_facts, prepare_slide
from wsikd.prepare.status import SlideStatus
from wsikd.status_table import StatusTable
from wsikd.store import KnownSlide, RegionStore, find_copies

_NOWHERE = "127.0.0.1:0"  # any free port of this machine alone
_SECONDS_BETWEEN_WRITES = 5.0  # of the table of outcomes


def prepare_slides(
    manifest: pd.DataFrame,
    store: Path,
    settings: PrepareSettings,
    on_done: Callable[[SlideStatus], None] = lambda _: None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> list[SlideStatus]:
    """Prepare every slide of a manifest that is not complete yet.

    Parameters
    ----------
    manifest : DataFrame
        As `wsikd.cohort.manifest.read_manifest` returns it.
    store : Path
        The folder `regions/`; made if absent.
    settings : PrepareSettings
        How.
    on_done : callable
        Told each outcome as it comes.
    on_warning : callable
        Told that a damaged `status.csv` was set aside, or that two slides are the same.

    Returns
    -------
    list of SlideStatus
        One per slide, in the manifest's order; also in `store/status.csv`.
    """
    store.mkdir(parents=True, exist_ok=True)
    tasks = [slide_task(row, settings) for row in manifest.to_dict("records")]
    table = StatusTable(
        store / "status.csv",
        SlideStatus,
        ("slide_id",),
        holds="outcomes",
        seconds=_SECONDS_BETWEEN_WRITES,
    )
    if table.warning:
        on_warning(table.warning)
    by_id: dict[str, SlideStatus] = {}
    before = {task.slide_id for task in tasks if (store / task.slide_id / "slide.json").exists()}
    try:
        for outcome in _outcomes(tasks, store, settings):
            status = outcome
            if outcome.status == "skipped" and outcome.slide_id not in before:
                # dask asks again when a worker dies with the answer that it had done the slide
                status = outcome.model_copy(update={"status": "done"})
            by_id[status.slide_id] = status
            table.put(status)
            on_done(status)
        for copy in list(_copies(by_id.values(), store)):
            by_id[copy.slide_id] = copy
            table.put(copy)
            on_warning(f"{copy.slide_id}: {copy.warnings.rpartition('; ')[2]}")
    finally:
        table.write()
    return [by_id[task.slide_id] for task in tasks]


def _copies(statuses: Iterable[SlideStatus], store: Path) -> Iterator[SlideStatus]:
    """Yield the slides that are another slide, too, each with a warning that names it."""
    by_id = {status.slide_id: status for status in statuses if status.status != "failed"}
    regions, warned = RegionStore(store), set[str]()
    for equal, first, second in find_copies(_known(regions, one) for one in by_id.values()):
        if second.slide_id not in warned:
            warned.add(second.slide_id)
            is_one = "its pixels are those" if equal == "pixels" else "its file is that"
            warning = f"{is_one} of {first.slide_id} as well, keep one of them"
            status = by_id[second.slide_id]
            noted = "; ".join(filter(None, (status.warnings, warning)))
            yield status.model_copy(update={"warnings": noted})


def _known(regions: RegionStore, status: SlideStatus) -> KnownSlide:
    try:
        pixels = regions.read_digest(status.slide_id)
    except StoreError:  # of an older version and damaged, which is said when it is read
        pixels = ""
    content = regions.read_slide(status.slide_id).source.sha256
    return KnownSlide(status.slide_id, content, pixels, Path(status.path))


def slide_task(row: Mapping[Any, Any], settings: PrepareSettings) -> SlideTask:
    """Return what is to be done for a row of a manifest."""
    mpp, power = (float(row[name]) if row[name] else None for name in ("mpp", "objective_power"))
    return SlideTask(row["slide_id"], Path(row["path"]), mpp or settings.mpp, power)


def _outcomes(
    tasks: list[SlideTask], store: Path, settings: PrepareSettings
) -> Iterator[SlideStatus]:
    if settings.workers == 0 and settings.scheduler is None:
        yield from (prepare_slide(task, store, settings) for task in tasks)
        return
    count = min(settings.workers or os.cpu_count() or 1, len(tasks))
    with (
        start_workers(count) if settings.scheduler is None else _connect(settings.scheduler)
    ) as client:
        for asked, future in ask_bundles(client, tasks, store, settings):
            failure = future.exception()
            if failure is None:
                yield from future.result()
            else:
                yield from (_crashed(task, store, failure) for task in asked)


def _connect(scheduler: str) -> Client:
    try:
        return Client(scheduler)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--scheduler must be the address of a dask scheduler, got {scheduler!r}; {reason}"
        ) from None


def _crashed(task: SlideTask, store: Path, failure: BaseException) -> SlideStatus:
    killed = isinstance(failure, KilledWorker)
    reason = "the worker died twice on it" if killed else f"a bug, {failure!r}"
    error = f"{task.path}: {reason}; try another --reader"
    return SlideStatus(
        slide_id=task.slide_id,
        path=str(task.path),
        status="failed",
        error=error,
        **kept_facts(store / task.slide_id),
    )
