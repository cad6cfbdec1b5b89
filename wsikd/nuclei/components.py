"""Connected components of a mask that comes in rows, each yielded when it is complete.

The mask is held as runs, the stretches of true pixels of its rows, and only those of components
that a later row may still touch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from wsikd.nuclei.objects import Mask, gather_rows

_ROWS = 256  # taken at once; the parts are the same however the rows come, and so is what follows
_HIGHEST = 4096  # rows
_LARGEST = 2**24  # pixels of the rectangle about it

_Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Component:
    """Pixels that hang together, none of them by a corner alone.

    Attributes
    ----------
    left, top : int
        Where its rectangle is, in pixels of the field.
    mask : ndarray of bool, shape (height, width)
        Its pixels in the rectangle.
    """

    left: int
    top: int
    mask: Mask


@dataclass(frozen=True)
class _Runs:
    """Stretches from `start` to before `stop`, in row * pitch + column; `owner` numbers groups."""

    start: _Numbers
    stop: _Numbers
    owner: _Numbers

    def __getitem__(self, chosen: NDArray[np.bool_] | _Numbers | slice) -> "_Runs":
        return _Runs(self.start[chosen], self.stop[chosen], self.owner[chosen])


def find_components(
    rows: Iterable[Mask], min_area_px: float = 0.0
) -> Iterator[tuple[list[Component], int]]:
    """Find the components of a mask, in about the time and memory of its runs.

    A component that is 4096 rows high or whose rectangle has 16 million pixels, which no cluster of
    nuclei has, is cut at the next multiple of 256 rows, so that memory does not grow with it.

    Parameters
    ----------
    rows : iterable of ndarray of bool, shape (any, width)
        From the top of the field.
    min_area_px : float
        Components whose rectangle has fewer pixels are left out.

    Yields
    ------
    components : list of Component
        Those completed since, by their first pixel.
    settled : int
        All components that reach above this row have been yielded.
    """
    held, bottom, pitch = _Runs(*np.zeros((3, 0), np.int64)), 0, 1
    for part in gather_rows(rows, _ROWS):
        pitch = part.shape[1] + 1
        joined = _join(held, _find_runs(part, bottom), (bottom, pitch))
        bottom += len(part)
        still = _is_open(joined, bottom, pitch)[joined.owner]
        held = joined[still]
        settled = int(held.start.min()) // pitch if len(held.start) else bottom
        yield list(_paint(joined[~still], pitch, min_area_px)), settled
    yield list(_paint(held, pitch, min_area_px)), bottom


def _find_runs(mask: Mask, top: int) -> _Runs:
    height, width = mask.shape
    fenced = np.zeros(height * (width + 1) + 1, np.bool_)  # no run goes on in the next row
    fenced[1:].reshape(height, width + 1)[:, :width] = mask
    edges = np.flatnonzero(fenced[1:] != fenced[:-1]) + top * (width + 1)
    return _Runs(edges[0::2], edges[1::2], np.arange(len(edges) // 2))


def _join(held: _Runs, new: _Runs, place: tuple[int, int]) -> _Runs:
    """Join new and held runs that touch under one owner; owners are in order of their first run."""
    first_row, pitch = place
    groups = int(held.owner.max(initial=-1)) + 1
    last = held[held.start >= (first_row - 1) * pitch]
    owner = np.concatenate([last.owner, groups + new.owner])
    upper, lower = _touching(
        np.concatenate([last.start, new.start]), np.concatenate([last.stop, new.stop]), pitch
    )
    count = groups + len(new.start)
    links = coo_array((np.ones(len(upper), np.bool_), (owner[upper], owner[lower])), (count, count))
    _, label = connected_components(links, directed=False)
    start, stop = np.concatenate([held.start, new.start]), np.concatenate([held.stop, new.stop])
    label = label[np.concatenate([held.owner, groups + new.owner])]
    _, first, owner = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty_like(first)
    rank[np.argsort(start[first])] = np.arange(len(first))
    return _Runs(start, stop, rank[owner])


def _touching(start: _Numbers, stop: _Numbers, pitch: int) -> tuple[_Numbers, _Numbers]:
    """Pair the runs, which are in order, with those of the next row that share a column."""
    first = np.searchsorted(stop, start + pitch, "right")
    count = np.maximum(np.searchsorted(start, stop + pitch, "left") - first, 0)
    upper = np.repeat(np.arange(len(start)), count)
    return upper, np.arange(len(upper)) + np.repeat(first - np.cumsum(count) + count, count)


def _is_open(runs: _Runs, bottom: int, pitch: int) -> NDArray[np.bool_]:
    """Tell for each owner whether a later row may touch it and it may wait for that."""
    owners = int(runs.owner.max(initial=-1)) + 1
    touched = np.zeros(owners, np.bool_)
    touched[runs.owner[runs.start >= (bottom - 1) * pitch]] = True
    left, top, right, _ = _rectangles(runs, pitch)
    height = bottom - top
    may_wait: NDArray[np.bool_] = (height < _HIGHEST) & (height * (right - left) < _LARGEST)
    return touched & may_wait


def _rectangles(runs: _Runs, pitch: int) -> _Numbers:
    """Find left, top, right and bottom of each owner, shape (4, owners)."""
    owners = int(runs.owner.max(initial=-1)) + 1
    found = np.zeros((4, owners), np.int64)
    found[:2] = np.iinfo(np.int64).max
    row = runs.start // pitch
    np.minimum.at(found[0], runs.owner, runs.start - row * pitch)
    np.minimum.at(found[1], runs.owner, row)
    np.maximum.at(found[2], runs.owner, runs.stop - row * pitch)
    np.maximum.at(found[3], runs.owner, row + 1)
    return found


def _paint(runs: _Runs, pitch: int, min_area_px: float) -> Iterator[Component]:
    order = np.argsort(runs.owner, kind="stable")
    sorted_runs = runs[order]
    names, first = np.unique(sorted_runs.owner, return_index=True)
    bounds = [*first.tolist(), len(order)]
    rectangles = _rectangles(runs, pitch)[:, names].T.tolist()
    for (left, top, right, bottom), begin, end in zip(
        rectangles, bounds[:-1], bounds[1:], strict=True
    ):
        width, height = right - left, bottom - top
        if width * height >= min_area_px:
            part = sorted_runs[begin:end]
            skipped = part.start // pitch * (pitch - width - 1) + left + top * (width + 1)
            change = np.zeros(height * (width + 1), np.int8)
            change[part.start - skipped] = 1
            change[part.stop - skipped] = -1
            mask = np.cumsum(change, dtype=np.int8).reshape(height, width + 1)[:, :width]
            yield Component(left, top, mask.astype(np.bool_))
