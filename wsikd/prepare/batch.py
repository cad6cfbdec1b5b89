"""Many slides at once, through dask's scheduler: one bad slide never halts the rest."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from distributed import Client, KilledWorker

from wsikd.errors import BusyError, StoreError, UnwritableError
from wsikd.prepare.cluster import join_scheduler, start_workers
from wsikd.prepare.pictures import ask_bundles
from wsikd.prepare.settings import PrepareSettings
from wsikd.prepare.slide import SlideTask, kept_facts, prepare_slide
from wsikd.prepare.status import SlideStatus
from wsikd.prepare.stopping import Stopping
from wsikd.status_table import StatusTable
from wsikd.store import KnownSlide, RegionStore, find_copies

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
        One per slide, in the manifest's order; also in `store/status.csv`, where several
        processes that work at once each write their own rows. A slide that another process is
        preparing is busy, and has no row of this one.

    Raises
    ------
    UnwritableError
        If nothing more can be written; no further slide is tried.
    ConfigError
        If no worker processes can be started, or the scheduler is not reached.
    BusyError
        If the scheduler ends before the slides are done.
    """
    tasks = [slide_task(row, settings) for row in manifest.to_dict("records")]
    tasks = deal(tasks, settings.shard)
    table = _open_table(store)
    if table.warning:
        on_warning(table.warning)
    by_id: dict[str, SlideStatus] = {}
    before = {task.slide_id for task in tasks if (store / task.slide_id / "slide.json").exists()}
    outcomes = _outcomes(tasks, store, settings, on_warning)
    try:
        for outcome in outcomes:
            status = outcome
            if outcome.status == "skipped" and outcome.slide_id not in before:
                # dask asks again when a worker dies with the answer that it had done the slide
                status = outcome.model_copy(update={"status": "done"})
            by_id[status.slide_id] = status
            if status.status != "busy":  # the process that prepares it writes its row
                table.put(status)
            on_done(status)
        for copy in list(_copies(by_id.values(), manifest, store)):
            by_id[copy.slide_id] = copy
            table.put(copy)
            on_warning(f"{copy.slide_id}: {copy.warnings.rpartition('; ')[2]}")
    except _StoppedBatch as stopped:
        table.put(stopped.status)
        raise UnwritableError(stopped.status.error) from None
    finally:
        outcomes.close()
        table.write()
    return [by_id[task.slide_id] for task in tasks]


def deal(tasks: list[SlideTask], shard: str | None) -> list[SlideTask]:
    """Return the slides of one job of an array: from the i-th every n-th, by their ids.

    Examples
    --------
    >>> tasks = [SlideTask(name, Path(), None, None) for name in "cab"]
    >>> [[task.slide_id for task in deal(tasks, shard)] for shard in ("1/2", "2/2", None)]
    [['a', 'c'], ['b'], ['c', 'a', 'b']]
    """
    if shard is None:
        return tasks
    index, count = map(int, shard.split("/"))
    return sorted(tasks, key=lambda task: task.slide_id)[index - 1 :: count]


class _StoppedBatch(Exception):  # noqa: N818  it is none, but ends a loop
    """Nothing more can be written; `status` is the row of the slide that met it."""

    def __init__(self, status: SlideStatus) -> None:
        self.status = status


def _open_table(store: Path) -> StatusTable[SlideStatus]:
    store.mkdir(parents=True, exist_ok=True)
    return StatusTable(
        store / "status.csv",
        SlideStatus,
        ("slide_id",),
        holds="outcomes",
        seconds=_SECONDS_BETWEEN_WRITES,
    )


def _copies(
    statuses: Iterable[SlideStatus], manifest: pd.DataFrame, store: Path
) -> Iterator[SlideStatus]:
    """Yield the slides that are another slide, too, each with a warning that names it.

    The other may be one that another job of an array has prepared.
    """
    by_id = {status.slide_id: status for status in statuses if status.status in ("done", "skipped")}
    paths = {row["slide_id"]: Path(row["path"]) for row in manifest.to_dict("records")}
    regions, warned = RegionStore(store), set[str]()
    complete = paths.keys() & set(regions.slide_ids()) if by_id else set()
    known = filter(None, (_known(regions, name, paths[name]) for name in complete))
    for equal, *pair in find_copies(known):
        one, other = sorted(pair, key=lambda slide: (slide.slide_id in by_id, slide.slide_id))
        if other.slide_id in by_id and other.slide_id not in warned:
            warned.add(other.slide_id)
            is_one = "its pixels are those" if equal == "pixels" else "its file is that"
            warning = f"{is_one} of {one.slide_id} as well, keep one of them"
            status = by_id[other.slide_id]
            noted = "; ".join(filter(None, (status.warnings, warning)))
            yield status.model_copy(update={"warnings": noted})


def _known(regions: RegionStore, slide_id: str, path: Path) -> KnownSlide | None:
    try:
        content = regions.read_slide(slide_id).source.sha256
    except (StoreError, OSError):  # another process is about to replace it
        return None
    try:
        pixels = regions.read_digest(slide_id)
    except StoreError:  # of an older version and damaged, which is said when it is read
        pixels = ""
    return KnownSlide(slide_id, content, pixels, path)


def slide_task(row: Mapping[Any, Any], settings: PrepareSettings) -> SlideTask:
    """Return what is to be done for a row of a manifest."""
    mpp, power = (float(row[name]) if row[name] else None for name in ("mpp", "objective_power"))
    mask = Path(row["mask_path"]) if row["mask_path"] else None
    return SlideTask(row["slide_id"], Path(row["path"]), mpp or settings.mpp, power, mask)


def _outcomes(
    tasks: list[SlideTask],
    store: Path,
    settings: PrepareSettings,
    on_warning: Callable[[str], None],
) -> Generator[SlideStatus]:
    """Yield what became of the slides, in the order in which they are ready."""
    if not tasks:  # of a job of an array with more jobs than slides
        return
    if settings.workers == 0 and settings.scheduler is None:
        yield from _in_two_goes(tasks, lambda some: _one_by_one(some, store, settings))
        return
    count = min(settings.workers or os.cpu_count() or 1, len(tasks))
    with (
        start_workers(count)
        if settings.scheduler is None
        else join_scheduler(settings.scheduler, on_warning)
    ) as client:
        yield from _in_two_goes(tasks, lambda some: _by_workers(client, some, store, settings))


def _in_two_goes(
    tasks: list[SlideTask], go: Callable[[list[SlideTask]], Iterator[SlideStatus]]
) -> Iterator[SlideStatus]:
    """Yield outcomes; slides that another process prepares are tried again when the rest is done.

    By then it has mostly finished them, so that of several processes the last one finds all done.
    """
    busy = set()
    for status in go(tasks):
        if status.status == "busy":
            busy.add(status.slide_id)
        else:
            yield status
    if busy:
        yield from go([task for task in tasks if task.slide_id in busy])


def _by_workers(
    client: Client, tasks: list[SlideTask], store: Path, settings: PrepareSettings
) -> Iterator[SlideStatus]:
    for asked, future in ask_bundles(client, tasks, store, settings):
        if future.cancelled():
            raise _gone(settings.scheduler)
        failure = future.exception()
        if isinstance(failure, UnwritableError):
            raise _StoppedBatch(_failed(asked[0], store, str(failure)))
        if failure is None:
            yield from future.result()
        else:
            yield from (_crashed(task, store, failure) for task in asked)


def _one_by_one(
    tasks: list[SlideTask], store: Path, settings: PrepareSettings
) -> Iterator[SlideStatus]:
    with Stopping() as stopping:
        for task in tasks:
            try:
                outcome = prepare_slide(task, store, settings)
            except UnwritableError as error:
                raise _StoppedBatch(_failed(task, store, str(error))) from None
            stopping.check()
            yield outcome


def _gone(scheduler: str | None) -> BusyError:
    return BusyError(
        f"--scheduler {scheduler}: it has ended or is not reached any more; "
        "start it and run the same command to go on"
    )


def _crashed(task: SlideTask, store: Path, failure: BaseException) -> SlideStatus:
    killed = isinstance(failure, KilledWorker)
    reason = "the worker died twice on it" if killed else f"a bug, {failure!r}"
    return _failed(task, store, f"{task.path}: {reason}; try another --reader")


def _failed(task: SlideTask, store: Path, error: str) -> SlideStatus:
    return SlideStatus(
        slide_id=task.slide_id,
        path=str(task.path),
        status="failed",
        error=error,
        **kept_facts(store / task.slide_id),
    )
