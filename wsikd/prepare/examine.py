"""A store under examination: each slide, and whether status.csv and the markers tell the truth."""

from collections.abc import Callable, Iterator
from pathlib import Path

from wsikd.errors import BusyError, StoreError
from wsikd.locks import alone
from wsikd.prepare.status import SlideStatus
from wsikd.status_table import read_rows
from wsikd.store.examination import Finding, can_validate, examine_slide

_NOBODY = ""


def examine_store(
    store: Path, on_slide: Callable[[str], None] = lambda _: None
) -> Iterator[Finding]:
    """Examine all that `wsikd prepare` wrote, and yield what is wrong or to be noted.

    Parameters
    ----------
    store : Path
        The folder `regions/`.
    on_slide : callable
        Told each slide when it has been examined.

    Raises
    ------
    StoreError
        If the folder is not there, or holds no slide.
    """
    if not store.is_dir():
        raise StoreError(f"{store}: no such folder; make it with `wsikd prepare`")
    folders = sorted(path for path in store.iterdir() if path.is_dir())
    slides = [path for path in folders if not path.name.startswith(".")]
    if not slides:
        raise StoreError(f"{store}: holds no slide; prepare some with `wsikd prepare`")
    if not can_validate():
        yield Finding(
            slide_id="all",
            state="note",
            found="whether they are OME-Zarr was not examined",
            remedy="pip install ome-zarr-models",
        )
    yield from _examine_table(store, {path.name for path in slides})
    yield from filter(None, map(_look_at_rest, folders))
    for folder in slides:
        yield from _examine(folder)
        on_slide(folder.name)


def _examine(folder: Path) -> Iterator[Finding]:
    if (folder / "slide.json").exists():
        yield from examine_slide(folder)
        return
    yield Finding(
        slide_id=folder.name,
        state="wrong",
        found="has no slide.json, so it is not complete",
        remedy=f"remove {folder} and run wsikd prepare",
    )


def _look_at_rest(folder: Path) -> Finding | None:
    """Note a folder that is being made, or that was left when its making was stopped."""
    if not (folder.name.startswith(".") and folder.name.endswith(".partial")):
        return None
    slide_id = folder.name[1:].removesuffix(".partial")
    holder = _holder_of(folder.parent / ".locks" / slide_id)
    if holder:
        return Finding(slide_id=slide_id, state="note", found=f"{holder} is preparing it")
    return Finding(
        slide_id=slide_id,
        state="note",
        found=f"{folder.name} was left when its preparation was stopped",
        remedy="run wsikd prepare to do it, or remove the folder",
    )


def _holder_of(lock: Path) -> str:
    if not lock.exists():
        return _NOBODY
    try:
        with alone(lock, str):
            return _NOBODY
    except BusyError as error:
        return str(error)
    except OSError:  # a folder that cannot be written to
        return _NOBODY


def _examine_table(store: Path, slides: set[str]) -> Iterator[Finding]:
    """Hold `status.csv` against the folders that are there."""
    path = store / "status.csv"
    try:
        rows = {row.slide_id: row for row in read_rows(path, SlideStatus, ("slide_id",))}
    except (OSError, ValueError):
        yield Finding(
            slide_id="all",
            state="wrong",
            found="status.csv is missing or damaged",
            remedy="run wsikd prepare, which begins it anew",
        )
        return
    for slide_id, row in rows.items():
        if row.status != "failed" and slide_id not in slides:
            yield Finding(
                slide_id=slide_id,
                state="wrong",
                found=f"is {row.status} by status.csv, and has no folder",
                remedy="run wsikd prepare",
            )
    for slide_id in sorted(slides - rows.keys()):
        yield Finding(
            slide_id=slide_id,
            state="note",
            found="has no row in status.csv",
            remedy="run wsikd prepare, which writes it",
        )
