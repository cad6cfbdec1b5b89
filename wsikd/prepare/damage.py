"""How much of a slide's regions is damaged, and whether that is too much."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wsikd.errors import SlideError
from wsikd.slides import DamagedTile, SlideReader
from wsikd.store import DamageRecord, RegionRecord, SlideRecord


def record_damage(reader: SlideReader) -> tuple[DamageRecord, ...]:
    """Return the damaged tiles that were met on a slide, from its top to its bottom."""
    tiles = sorted(reader.damaged or (), key=lambda tile: (tile.level, tile.box.y, tile.box.x))
    return tuple(_record(tile) for tile in tiles)


def with_damage(
    regions: Iterable[RegionRecord], damaged: Sequence[DamageRecord]
) -> tuple[RegionRecord, ...]:
    """Return the records of regions with how much of each is white as its tiles are damaged."""
    return tuple(
        region.model_copy(update={"damaged_share": _share_of(region, damaged)})
        for region in regions
    )


@contextmanager
def naming_damage(reader: SlideReader) -> Iterator[None]:
    """Add to an error that the slide is damaged, which may be why there is no tissue."""
    try:
        yield
    except SlideError as error:
        damaged = record_damage(reader)
        if not damaged:
            raise
        told = f"{_count(damaged)} ({damaged[0].reason})"
        raise SlideError(f"{error}; {told}, copy the slide again") from None


def damaged_share(record: SlideRecord) -> float:
    """Compute the area of all damaged tiles that were met as a share of the regions' boxes.

    A tile of a further level was met where tissue was searched: nobody knows whether there was
    some, so all of it counts, as does a tile that only touches a region.
    """
    whole = sum(region.width * region.height for region in record.regions)
    # a tile of the search on a single level is met again in a region: equal boxes count once
    places = {(tile.x, tile.y, tile.width, tile.height) for tile in record.damaged}
    return min(1.0, sum(width * height for *_, width, height in places) / whole)


def check_damage(path: Path, record: SlideRecord, most: float) -> None:
    """Raise SlideError if more of a slide is damaged than is allowed."""
    share = damaged_share(record)
    if share > most:
        first = record.damaged[0]
        raise SlideError(
            f"{path}: {_describe(record)} ({first.reason}), more than max_damaged {most:g}; copy it"
            " again, or allow it with --max-damaged"
        )


def damage_warnings(record: SlideRecord) -> tuple[str, ...]:
    """Say how many tiles are damaged, how much that is and where the first one lies."""
    return (f"{_describe(record)}; they are white",) if record.damaged else ()


def _describe(record: SlideRecord) -> str:
    return f"{_count(record.damaged)}, {damaged_share(record):.2%} of the regions' area"


def _count(damaged: Sequence[DamageRecord]) -> str:
    first = damaged[0]
    place = f"x={first.x} y={first.y} of level {first.level}"
    if len(damaged) == 1:
        return f"1 tile is damaged, at {place}"
    return f"{len(damaged)} tiles are damaged, the first at {place}"


def _record(tile: DamagedTile) -> DamageRecord:
    box = tile.box
    return DamageRecord(
        level=tile.level,
        x=box.x,
        y=box.y,
        width=box.size.width,
        height=box.size.height,
        reason=tile.reason,
    )


def _share_of(region: RegionRecord, damaged: Sequence[DamageRecord]) -> float:
    """Compute the share of a region's box below damaged tiles of level 0, which it is made of."""
    area = 0
    for tile in damaged:
        across = min(region.x + region.width, tile.x + tile.width) - max(region.x, tile.x)
        down = min(region.y + region.height, tile.y + tile.height) - max(region.y, tile.y)
        if tile.level == 0:
            area += max(0, across) * max(0, down)
    return area / (region.width * region.height)
