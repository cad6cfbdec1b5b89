"""Many small pictures: several to a task, whose waits for the disk overlap.

To ask dask for one picture costs nearly as much as the picture itself, and so does each wait until
it is on disk.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from distributed import Client, Future, as_completed

from wsikd.prepare.settings import PrepareSettings
from wsikd.prepare.slide import SlideTask, prepare_slide
from wsikd.prepare.status import SlideStatus

_MOST = 32  # pictures of a bundle
_MOST_BYTES = 16 * 2**20  # of their files
_THREADS = 4  # of a bundle: one computes while the others wait for the disk

Bundle = tuple[SlideTask, ...]


def ask_bundles(
    client: Client, tasks: Sequence[SlideTask], store: Path, settings: PrepareSettings
) -> Iterator[tuple[Bundle, "Future[list[SlideStatus]]"]]:
    """Let the workers of a cluster prepare slides.

    Yields
    ------
    asked : tuple of SlideTask
        A bundle, or of one whose worker died each slide by itself: none but the culprit is blamed.
    future : Future
        What became of it.
    """
    ask = partial(client.map, prepare_bundle, store=store, settings=settings, pure=False)
    bundles = bundle(tasks, settings)
    asked_of = dict(zip(ask(bundles), bundles, strict=True))
    coming = as_completed(list(asked_of))
    for future in coming:
        asked = asked_of.pop(future)
        if future.status != "error" or len(asked) == 1:
            yield asked, future
            continue
        alone = [(task,) for task in asked]
        again = dict(zip(ask(alone), alone, strict=True))
        asked_of |= again
        coming.update(list(again))


def bundle(tasks: Sequence[SlideTask], settings: PrepareSettings) -> list[Bundle]:
    """Put small pictures together, in their order; each slide stays by itself."""
    if not settings.makes_pictures:
        return [(task,) for task in tasks]
    return list(_filled(tasks))


def prepare_bundle(tasks: Bundle, store: Path, settings: PrepareSettings) -> list[SlideStatus]:
    """Prepare the slides of a bundle, see `prepare_slide`; return their outcomes in order."""
    prepare: Callable[[SlideTask], SlideStatus] = partial(
        prepare_slide, store=store, settings=settings
    )
    if len(tasks) == 1:
        return [prepare(tasks[0])]
    with (
        warnings.catch_warnings(),  # threads that change filters leave those of another behind
        ThreadPoolExecutor(_THREADS) as threads,
    ):
        return list(threads.map(prepare, tasks))


def _filled(tasks: Sequence[SlideTask]) -> Iterator[Bundle]:
    held: list[SlideTask] = []
    room = _MOST_BYTES
    for task in tasks:
        size = _bytes_of(task.path)
        if held and (len(held) == _MOST or size > room):
            yield tuple(held)
            held, room = [], _MOST_BYTES
        held.append(task)
        room -= size
    if held:
        yield tuple(held)


def _bytes_of(path: Path) -> int:
    """Return a file's size; what is no file is taken for large."""
    try:
        return path.stat().st_size if path.is_file() else _MOST_BYTES
    except OSError:
        return _MOST_BYTES
