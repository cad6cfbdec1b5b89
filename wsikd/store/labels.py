"""Label images of tissue regions: whole numbers per pixel, as OME-Zarr beside a run.

`<folder>/<slide_id>/<region_id>.ome.zarr` is an image with the axes y and x and one or more levels,
the finest as it was pushed and each coarser one the nearest pixels of it.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray

from wsikd.errors import StoreError
from wsikd.files import publish
from wsikd.geometry import Mpp, Region, Size, format_magnification
from wsikd.store.ome import Layout, RowWriter, describe_levels, place
from wsikd.store.records import RegionRecord

Labels = NDArray[np.unsignedinteger[Any]]

_CHUNK = 1024  # px, and the rows that are held of each level
_BACKGROUND = 0


class LabelLevel(NamedTuple):
    """One level of a label image."""

    size: Size
    """In its own pixels."""
    mpp: Mpp | None
    """True µm per pixel along x and y; None if unknown."""
    magnification: float | None
    """Nominal; None if unknown."""


class LabelFrame(NamedTuple):
    """Where a label image lies on its slide."""

    box: Region
    """In the level-0 frame, at level 0."""
    mpp: Mpp | None
    """µm per level-0 pixel; None if unknown, then lengths are in level-0 pixels."""


class LabelWriter:
    """Writes the labels of one region from rows that come from the top; whole or not at all.

    To be used in a `with`: leaving it puts the image in place of what was there, unless an error
    or a signal ended it, which leaves no trace. A row of chunks is held of each level, however high
    the region is.

    Parameters
    ----------
    path : Path
        As `labels_path` returns it.
    frame : LabelFrame
        Where the labels lie.
    levels : sequence of LabelLevel
        The finest, in which rows are pushed, then the coarser ones that are made of it.
    made : mapping
        How the labels were made, for `read_made`; of JSON's types.
    dtype : unsigned integer type
        Of the labels, 0 the background.
    """

    def __init__(
        self,
        path: Path,
        frame: LabelFrame,
        levels: Sequence[LabelLevel],
        made: Mapping[str, Any] | None = None,
        *,
        dtype: DTypeLike = np.uint8,
    ) -> None:
        self.path = path
        self._partial = path.with_name(f".{path.name}.partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        group = zarr.open_group(self._partial, mode="w", zarr_format=3)
        name = path.name.removesuffix(".ome.zarr")
        group.attrs.update(_attributes(name, frame, levels, made or {}))
        self._levels = [
            _LevelWriter(group, str(index), (levels[0].size, level.size), np.dtype(dtype))
            for index, level in enumerate(levels)
        ]

    def push(self, rows: Labels) -> None:
        """Take the next rows of the finest level, shape (any, width)."""
        for level in self._levels:
            level.push(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def _commit(self) -> None:
        for level in self._levels:
            level.finish()
        publish(self._partial, self.path)


class _LevelWriter:
    """Picks the pixels of a level from the rows of the finest one."""

    def __init__(
        self, group: zarr.Group, path: str, sizes: tuple[Size, Size], dtype: np.dtype[Any]
    ) -> None:
        finest, size = sizes
        self._rows, self._columns = _nearest(finest.height, size.height), None
        if size.width != finest.width:
            self._columns = _nearest(finest.width, size.width)
        shape = (size.height, size.width)
        self._writer = RowWriter(group, path, Layout(shape, dtype, _CHUNK, _CHUNK, _BACKGROUND))
        self._seen = 0  # rows of the finest level

    def push(self, rows: Labels) -> None:
        first, last = np.searchsorted(self._rows, (self._seen, self._seen + len(rows)))
        wanted = self._rows[first:last]
        picked = rows if len(wanted) == len(rows) else rows[wanted - self._seen]
        self._seen += len(rows)
        self._writer.push(picked if self._columns is None else picked[:, self._columns])

    def finish(self) -> None:
        self._writer.finish()


def read_labels(folder: Path, slide_id: str, region_id: str, mag: float | None = None) -> Labels:
    """Read the labels of a region at a magnification, shape (height, width).

    Parameters
    ----------
    folder : Path
        Such as `runs/<name>/labels`.
    slide_id, region_id : str
        The region.
    mag : float or None
        Magnification; None for the finest there is.

    Raises
    ------
    StoreError
        If there are none, or not at that magnification; the message names those there are.
    """
    path = labels_path(folder, slide_id, region_id)
    if not path.is_dir():
        raise StoreError(f"{path}: no labels of this region; let a segmenter write them")
    try:
        have = _own_attributes(path)["magnifications"]
        index = 0 if mag is None else have.index(mag) if mag in have else None
        labels = None if index is None else _whole(zarr.open_array(path / str(index), mode="r"))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None
    if labels is None:
        assert mag is not None
        named = [format_magnification(each) for each in have if each is not None]
        raise StoreError(
            f"{path}: has no labels at {format_magnification(mag)}, only "
            f"{', '.join(named) or 'at an unknown magnification'}; choose one of those"
        )
    return labels


def read_made(folder: Path, slide_id: str, region_id: str) -> dict[str, Any] | None:
    """Read how the labels of a region were made; None if there are none.

    Raises
    ------
    StoreError
        If they are damaged.
    """
    path = labels_path(folder, slide_id, region_id)
    if not path.is_dir():
        return None
    try:
        return dict(_own_attributes(path)["made"])
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def labels_path(folder: Path, slide_id: str, region_id: str) -> Path:
    """Return where the labels of a region are."""
    return folder / slide_id / f"{region_id}.ome.zarr"


def levels_of(region: RegionRecord, mag: float) -> tuple[LabelLevel, ...]:
    """Return the levels of a region's labels: its own from a magnification on, the finest first.

    Raises
    ------
    StoreError
        If the region has no pixels at that magnification.
    """
    finest = region.level(mag)
    return tuple(
        LabelLevel(Size(level.width, level.height), Mpp(*level.mpp), level.magnification)
        for level in region.levels
        if level.magnification <= finest.magnification
    )


def nearest(labels: Labels, size: Size) -> Labels:
    """Bring labels to a size by the pixel nearest to each centre, as means of labels are none.

    Examples
    --------
    >>> nearest(np.array([[1, 2, 3, 4, 5, 6]], np.uint8), Size(2, 1)).tolist()
    [[2, 5]]
    """
    height, width = labels.shape
    picked: Labels = labels[_nearest(height, size.height)[:, None], _nearest(width, size.width)]
    return picked


def _nearest(length: int, wanted: int) -> NDArray[np.int64]:
    return ((np.arange(wanted) + 0.5) * length / wanted).astype(np.int64)


def _own_attributes(path: Path) -> dict[str, Any]:
    attributes: Any = zarr.open_group(path, mode="r").attrs["wsikd"]
    return dict(attributes)


def _damaged(path: Path, error: Exception) -> StoreError:
    reason = " ".join(str(error).split())
    return StoreError(f"{path}: damaged ({reason}); remove it and write it again")


def _whole(array: zarr.Array[Any]) -> Labels:
    """Read an array, unless chunks are missing, which zarr would read as background."""
    if array.nchunks_initialized < array.nchunks:
        raise ValueError("a part of it is missing")
    return np.asarray(array[:])


def _attributes(
    name: str, frame: LabelFrame, levels: Sequence[LabelLevel], made: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe the labels by OME-NGFF 0.5, placed on the slide as their region is."""
    placed = [place(frame.box, *_pitches(frame, level), channels=False) for level in levels]
    multiscale = describe_levels(name, placed, "nearest", unit=frame.mpp is not None)
    ome = {"version": "0.5", "multiscales": [multiscale], "image-label": {}}
    own = {"magnifications": [level.magnification for level in levels], "made": dict(made)}
    return {"ome": ome, "wsikd": own}


def _pitches(frame: LabelFrame, level: LabelLevel) -> tuple[Mpp, Mpp]:
    """Return the lengths of a level-0 pixel and of one of the level; the former 1 if unknown."""
    (width, height), own = frame.box.size, frame.mpp or Mpp(1.0, 1.0)
    spread = Mpp(own.x * width / level.size.width, own.y * height / level.size.height)
    return own, level.mpp or spread
