"""Sums of the colours of slides, read in parallel and kept in `cache/colours/`.

What is kept is of a slide and a magnification, so that the training set of another split or fold
is a sum of what is known. It is seven whole numbers, which no order of adding up changes.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from wsikd.data.regions import RegionItem
from wsikd.errors import BusyError
from wsikd.files import clear_up, write_json
from wsikd.geometry import Pixels, format_magnification
from wsikd.hashing import digest, text_digest
from wsikd.locks import in_turn
from wsikd.store import RegionStore

_FORMAT = "wsikd-colours"
_VERSION = 1
_ROWS = 1024  # read at once: whole chunks of the store, and little memory of a large region
_MOST_THREADS = 8
_VALUES = torch.arange(256)

OnRead = Callable[[int, int], None]
"""Told the pixels that were read so far, and those to be read in all."""


@dataclass(frozen=True)
class ColourSums:
    """What mean and standard deviation of red, green and blue are made of.

    Attributes
    ----------
    count : int
        Pixels.
    red, green, blue : int
        Sums of the values, 0 to 255.
    red_squared, green_squared, blue_squared : int
        Sums of their squares.
    """

    count: int = 0
    red: int = 0
    green: int = 0
    blue: int = 0
    red_squared: int = 0
    green_squared: int = 0
    blue_squared: int = 0

    @classmethod
    def of(cls, pixels: Pixels) -> Self:
        """Sum the pixels of an image of uint8, shape (..., 3)."""
        histograms = [
            torch.from_numpy(np.ascontiguousarray(pixels[..., channel])).flatten().bincount()
            for channel in range(3)
        ]
        sums = [
            int((histogram * _VALUES[: len(histogram)] ** power).sum())
            for power in (1, 2)
            for histogram in histograms
        ]
        return cls(pixels[..., 0].size, *sums)

    def __add__(self, other: "ColourSums") -> "ColourSums":
        return ColourSums(*map(add, astuple(self), astuple(other)))

    def moments(self) -> list[tuple[int, int]]:
        """Return the sum of the values and of their squares, of red, green and blue."""
        return [
            (self.red, self.red_squared),
            (self.green, self.green_squared),
            (self.blue, self.blue_squared),
        ]


def sum_colours(
    store: RegionStore,
    items: Sequence[RegionItem],
    magnification: float,
    cache: Path | None = None,
    on_read: OnRead = lambda _read, _all: None,
) -> ColourSums:
    """Sum the pixels of regions at one magnification.

    Parameters
    ----------
    store : RegionStore
        Holds the pixels.
    items : sequence of RegionItem
        The regions.
    magnification : float
        Which one of each region is read.
    cache : Path, optional
        Folder of what can be made again. What is known there is not read; what was read is added,
        also if reading is stopped half-way.
    on_read : callable
        Called in this thread after each region that had to be read.

    Raises
    ------
    StoreError
        If the magnification was not prepared, or a region is damaged.
    """
    by_slide: dict[str, list[RegionItem]] = {}
    for item in items:
        by_slide.setdefault(item.slide_id, []).append(item)
    wanted = {_key(store, of_slide): of_slide for of_slide in by_slide.values()}
    path = (
        None if cache is None else cache / "colours" / f"{format_magnification(magnification)}.json"
    )
    known = {} if path is None else _read(path)
    unknown = {key: of_slide for key, of_slide in wanted.items() if key not in known}
    found: dict[str, ColourSums] = {}
    try:
        found.update(_sum_slides(store, unknown, magnification, on_read))
    finally:
        if path is not None and found:
            _keep(path, found)
    known |= found
    return reduce(add, (known[key] for key in wanted), ColourSums())


def _sum_slides(
    store: RegionStore,
    slides: Mapping[str, Sequence[RegionItem]],
    magnification: float,
    on_read: OnRead,
) -> Iterator[tuple[str, ColourSums]]:
    """Read the regions of slides in threads, and yield the sums of one slide after the other."""

    def sum_region(item: RegionItem) -> ColourSums:
        strips = store.read_strips(item.slide_id, item.region_id, magnification, _ROWS)
        return reduce(add, map(ColourSums.of, strips), ColourSums())

    sizes = [
        store.size(item.slide_id, item.region_id, magnification)
        for items in slides.values()
        for item in items
    ]
    in_all, read = sum(size.width * size.height for size in sizes), 0
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        reading = {
            key: [pool.submit(sum_region, item) for item in items] for key, items in slides.items()
        }
        try:
            for key, regions in reading.items():
                sums = ColourSums()
                for region in regions:
                    sums += region.result()
                    read += region.result().count
                    on_read(read, in_all)
                yield key, sums
        finally:
            pool.shutdown(cancel_futures=True)


def _key(store: RegionStore, items: Sequence[RegionItem]) -> str:
    """Hash what decides the pixels of some regions of a slide."""
    slide_id = items[0].slide_id
    record = store.read_slide(slide_id).model_dump_json()
    return digest([record, store.read_digest(slide_id), *sorted(item.region_id for item in items)])


def _keep(path: Path, found: dict[str, ColourSums]) -> None:
    """Add sums to a file; where that cannot be done they are made again next time."""
    with suppress(OSError, BusyError), in_turn(path.parent / ".lock"):
        clear_up(path.parent, path.name)
        slides = {key: list(astuple(sums)) for key, sums in (_read(path) | found).items()}
        about = {"format": _FORMAT, "version": _VERSION, "sha256": _digest(slides)}
        write_json(path, {**about, "slides": slides})


def _read(path: Path) -> dict[str, ColourSums]:
    """Read a file of sums; nothing if it is missing, damaged or of another version."""
    try:
        document = json.loads(path.read_bytes())
        slides = document["slides"]
        about = (document["format"], document["version"], document["sha256"])
        if about != (_FORMAT, _VERSION, _digest(slides)):
            return {}
        return {key: ColourSums(*sums) for key, sums in slides.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _digest(slides: Any) -> str:
    return text_digest(json.dumps(slides, sort_keys=True))
