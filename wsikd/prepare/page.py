"""`regions/index.html`: every slide with the outlines of its tissue, those with doubts first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import wsikd
from wsikd.errors import StoreError
from wsikd.files import write_text
from wsikd.geometry import Size, format_magnification
from wsikd.pages import data_uri, load_template
from wsikd.prepare.status import SlideStatus
from wsikd.prepare.thumbnails import Contour, Thumbnail, contours, small_thumbnails
from wsikd.status_table import StatusTable
from wsikd.store import RegionStore, SlideRecord
from wsikd.words import bytes_text, counted

State = Literal["failed", "doubtful", "complete"]

PAGE = "index.html"

_ORDER: tuple[State, ...] = ("failed", "doubtful", "complete")
_MOST_PICTURES = 2000  # keeps the page below 30 MB; those of slides in doubt come first
_SIDES = {1000: 320, _MOST_PICTURES: 200}  # pixels of a picture, where there are up to so many
_SHOWN = Size(210, 150)  # room of a picture on the page, in its pixels
_SQUARE_MM = 1e6  # µm²


class ShownPicture(NamedTuple):
    """A picture as the page has it: its text, its sizes there and on its own, the outlines."""

    uri: str
    shown: Size
    size: Size
    contours: list[Contour]


class ShownFacts(NamedTuple):
    """What is known of a slide that is complete, as numbers to sort by and words to read."""

    regions: int
    area_mm2: float
    magnifications: tuple[str, ...]
    mpp: float
    mpp_source: str
    reader: str
    size: str
    source_bytes: int
    stored_bytes: int


class ShownSlide(NamedTuple):
    """A row of the page."""

    slide_id: str
    state: State
    rank: int
    error: str
    remedy: str
    warnings: tuple[str, ...]
    seconds: float | None
    facts: ShownFacts | None
    picture: ShownPicture | None


def write_page(store: Path) -> Path:
    """Write the page of all slides of a store; pictures that were made before are kept.

    Parameters
    ----------
    store : Path
        The folder `regions/`, with or without a `status.csv`.

    Returns
    -------
    Path
        The page.
    """
    regions = RegionStore(store)
    rows = {row.slide_id: row for row in _status_rows(store / "status.csv")}
    records = dict(_records(regions))
    every = sorted(rows.keys() | records.keys(), key=lambda name: _key(name, rows, records))
    pictured = [name for name in every if name in records][:_MOST_PICTURES]
    small = small_thumbnails(regions, pictured, _side(len(pictured)))
    slides = [
        _row(name, rows.get(name), records.get(name), regions, small.get(name)) for name in every
    ]
    now = datetime.now(UTC).astimezone()
    template = load_template(
        "wsikd.prepare", "page.html", bytes_text=bytes_text, counted=counted, steps=_ORDER
    )
    page = template.render(
        version=wsikd.__version__,
        made=f"{now.day} {now:%B %Y, %H:%M}",
        slides=slides,
        counts=Counter(slide.state for slide in slides),
        regions=sum(slide.facts.regions for slide in slides if slide.facts),
        area_mm2=sum(slide.facts.area_mm2 for slide in slides if slide.facts),
        stored_bytes=sum(slide.facts.stored_bytes for slide in slides if slide.facts),
        unpictured=len(records) - len(pictured),
    )
    write_text(store / PAGE, page)
    return store / PAGE


def show_slides(store: Path) -> str:
    """Write the page and return where it is, or why it is not: the slides are done all the same."""
    try:
        return f"{write_page(store)} shows the slides and their tissue"
    except OSError as error:
        return f"warning: {error.filename}: not written, {error.strerror}; see {store}/status.csv"


def _status_rows(path: Path) -> Sequence[SlideStatus]:
    if not path.exists():
        return ()
    return StatusTable(path, SlideStatus, ("slide_id",), holds="outcomes").rows


def _records(regions: RegionStore) -> Iterable[tuple[str, SlideRecord]]:
    """Yield what is known of the slides that are complete; a damaged one has a row that says so."""
    for slide_id in regions.slide_ids():
        try:
            yield slide_id, regions.read_slide(slide_id)
        except StoreError:
            continue


def _key(
    name: str, rows: dict[str, SlideStatus], records: dict[str, SlideRecord]
) -> tuple[int, str]:
    return _ORDER.index(_state(rows.get(name), records.get(name))), name


def _state(status: SlideStatus | None, record: SlideRecord | None) -> State:
    if record is None or (status is not None and status.status == "failed"):
        return "failed"
    return "doubtful" if _warnings(status, record) else "complete"


def _warnings(status: SlideStatus | None, record: SlideRecord | None) -> tuple[str, ...]:
    """Return the warnings of the last attempt, which are those of the record and more."""
    own = record.warnings if record is not None else ()
    if status is None:
        return own
    before, _, after = status.warnings.partition("; ".join(own)) if own else ("", "", "")
    others = f"{before}; {after}" if own else status.warnings
    return (*(part for part in others.split("; ") if part), *own)


def _side(count: int) -> int:
    return next(side for most, side in _SIDES.items() if count <= most)


def _row(
    name: str,
    status: SlideStatus | None,
    record: SlideRecord | None,
    regions: RegionStore,
    small: Thumbnail | None,
) -> ShownSlide:
    state = _state(status, record)
    error, remedy = _error(status, is_there=record is not None)
    return ShownSlide(
        slide_id=name,
        state=state,
        rank=_ORDER.index(state),
        error=error,
        remedy=remedy,
        warnings=_warnings(status, record),
        seconds=status.seconds if status is not None and status.status == "done" else None,
        facts=None if record is None else _facts(record, regions.path / name),
        picture=None if record is None or small is None else _picture(record, regions, small),
    )


def _error(status: SlideStatus | None, *, is_there: bool) -> tuple[str, str]:
    """Return what is wrong with a slide, without the folder it lies in, and what to do."""
    if status is None or status.status != "failed":
        return ("", "") if is_there else ("its folder is missing or damaged", "prepare it again")
    whole = status.error.replace(status.path, Path(status.path).name)
    wrong, _, remedy = whole.rpartition("; ")
    return (wrong, remedy) if wrong else (whole, "")


def _facts(record: SlideRecord, folder: Path) -> ShownFacts:
    made = {level.magnification for region in record.regions for level in region.levels}
    files = (file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return ShownFacts(
        regions=len(record.regions),
        area_mm2=sum(region.area_um2 for region in record.regions) / _SQUARE_MM,
        magnifications=tuple(format_magnification(mag) for mag in sorted(made, reverse=True)),
        mpp=sum(record.mpp) / 2,
        mpp_source=record.mpp_source,
        reader=f"{record.slide_format}, {record.reader_version}",
        size=f"{record.width:,} × {record.height:,} px",
        source_bytes=record.source.bytes,
        stored_bytes=sum(files),
    )


def _picture(record: SlideRecord, regions: RegionStore, small: Thumbnail) -> ShownPicture:
    try:
        outlines = regions.read_outlines(record.slide_id)
        drawn = contours(outlines, Size(record.width, record.height), small.size)
    except (StoreError, KeyError, ValueError, TypeError):  # an outline that is none
        drawn = []
    fit = min(_SHOWN.width / small.size.width, _SHOWN.height / small.size.height)
    shown = Size(*(max(1, round(side * fit)) for side in small.size))
    return ShownPicture(data_uri("small.jpg", small.jpeg), shown, small.size, drawn)
