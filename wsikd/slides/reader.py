"""What a slide reader is: the one interface behind which the slide libraries stand."""

import abc
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from wsikd.errors import RegionError, SlideError
from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.sniff import FileKind


@dataclass(frozen=True)
class DamagedTile:
    """A tile of a slide whose data cannot be decoded.

    Attributes
    ----------
    level : int
        The level that it is part of.
    box : Region
        Where it is, at level 0.
    reason : str
        What the decoder says; tiles are not compared by it.
    """

    level: int
    box: Region
    reason: str = field(compare=False)


class SlideReader(abc.ABC):
    """Reads pixels of one open slide.

    Attributes
    ----------
    name : str
        Key of the reader in `READERS` and value of `--reader`.
    path : Path
        The slide's file, or the folder of a DICOM series.
    format : str
        What the file is, such as "aperio" or "generic-tiff".
    version : str
        The library behind the reader with its version, such as "openslide 4.0.1".
    level_sizes : tuple of Size
        Size of each level in its own pixels, level 0 the largest.
    stated_mpp : Mpp or None
        µm per level-0 pixel as the file states it, unjudged; None if it states none.
    objective_power : float or None
        The scanner's objective as the file states it; None if it states none.
    tile_size : Size
        Size of the compressed blocks of level 0; reading along their borders decodes each once.
    notes : tuple of str
        What of the file was left out or ignored, one line each.
    damaged : set of DamagedTile or None
        The damaged tiles that were met, where they are tolerated; None: they are errors.
    """

    name: ClassVar[str]
    path: Path
    format: str
    version: str
    level_sizes: tuple[Size, ...]
    stated_mpp: Mpp | None
    objective_power: float | None
    tile_size: Size
    notes: tuple[str, ...] = ()
    damaged: set[DamagedTile] | None = None
    _closed: bool = False

    @property
    def size(self) -> Size:
        """Size of level 0 in pixels."""
        return self.level_sizes[0]

    @property
    def level_downsamples(self) -> tuple[tuple[float, float], ...]:
        """Level-0 pixels per level pixel, along x and y, from the true sizes: never rounded."""
        return tuple(
            (self.size.width / level.width, self.size.height / level.height)
            for level in self.level_sizes
        )

    def read(self, region: Region, *, level: int = 0) -> Pixels:
        """Read a rectangle of one level.

        Parameters
        ----------
        region : Region
            Top left corner in the level-0 frame, size in pixels of `level`.
        level : int
            Level to read from.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            RGB, with transparency composited on white.

        Raises
        ------
        RegionError
            If the level does not exist or the rectangle leaves the slide.
        SlideError
            If the file's data cannot be decoded, unless damage is tolerated.
        """
        if self._closed:
            raise ValueError(f"{self.path}: read after the slide was closed")
        self._check(region, level)
        pixels = self._read(region, level)
        assert pixels.shape == (region.size.height, region.size.width, 3)
        return pixels

    def tolerate_damage(self) -> None:
        """Read damaged tiles as white from now on, and note each in `damaged`."""
        if self.damaged is None:
            self.damaged = set()

    def find_unscanned(self, size: Size) -> NDArray[np.bool_]:
        """Find where the scanner made no pixels: what is read there is neither glass nor tissue.

        Parameters
        ----------
        size : Size
            Width and height of the overview that is asked for, the whole slide in so many cells.

        Returns
        -------
        ndarray of bool, shape (size.height, size.width)
            True where at least half of the cell was not scanned. All False where the file has no
            means to say so.

        Raises
        ------
        SlideError
            If the file's data cannot be decoded.
        """
        return np.zeros((size.height, size.width), np.bool_)

    @abc.abstractmethod
    def _read(self, region: Region, level: int) -> Pixels:
        """Read a rectangle that is known to exist."""

    @abc.abstractmethod
    def _close(self) -> None:
        """Let the file go; called once."""

    def close(self) -> None:
        """Let the file go; reading after it is an error, closing again is not."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _note_damage(self, level: int, corner: tuple[int, int], size: Size, reason: str) -> None:
        """Raise that a tile is damaged, or only note it where that is tolerated.

        Corner and size are in pixels of the level.
        """
        down_x, down_y = self.level_downsamples[level]
        left, top = round(corner[0] * down_x), round(corner[1] * down_y)
        right = min(self.size.width, round((corner[0] + size.width) * down_x))
        bottom = min(self.size.height, round((corner[1] + size.height) * down_y))
        if self.damaged is None:
            raise SlideError(
                f"{self.path}: the tile at x={left} y={top} of level {level} cannot be decoded"
                f" ({reason}); the file is damaged, copy it again"
            )
        box = Region(left, top, Size(right - left, bottom - top))
        self.damaged.add(DamagedTile(level, box, reason))

    def _check(self, region: Region, level: int) -> None:
        if not 0 <= level < len(self.level_sizes):
            raise RegionError(
                f"{self.path}: level {level} asked of a slide with {len(self.level_sizes)}"
            )
        down_x, down_y = self.level_downsamples[level]
        right = region.x / down_x + region.size.width
        bottom = region.y / down_y + region.size.height
        limit = self.level_sizes[level]
        # one pixel of slack above level 0: a level-0 corner rarely falls on a whole level pixel
        slack = 0 if level == 0 else 1
        inside = region.x >= 0 and region.y >= 0 and min(region.size) > 0
        if not (inside and right <= limit.width + slack and bottom <= limit.height + slack):
            raise RegionError(
                f"{self.path}: region x={region.x} y={region.y} "
                f"size={region.size.width}x{region.size.height} at level {level} "
                f"leaves the slide of {self.size.width}x{self.size.height}"
            )


class FileReader(SlideReader):
    """Reads the pixels of a file that it opens itself: what `READERS` lists.

    Parameters
    ----------
    path : Path
        A slide's file, or the folder of a DICOM series.

    Attributes
    ----------
    is_makeshift : bool
        Whether any other reader that suits the file reads it better, as turned out once it was
        open.

    Raises
    ------
    SlideError
        If it is none of the reader's files, or damaged.
    """

    is_makeshift: bool = False

    @abc.abstractmethod
    def __init__(self, path: Path) -> None: ...

    @classmethod
    @abc.abstractmethod
    def suits(cls, path: Path, kind: FileKind) -> int:
        """Return how well this reader suits a file, from what can be told without opening it.

        Parameters
        ----------
        path : Path
            A slide's file, or the folder of a DICOM series.
        kind : {"tiff", "dicom", "zarr", "picture", "other"}
            What the first bytes tell that it is.

        Returns
        -------
        int
            0 if it cannot read such a file, or should only when asked by name; else 1 to 3, and
            the highest is tried first. 3 claims a format that others would misread.
        """


def on_white(rgba: Pixels) -> Pixels:
    """Composite a picture on white, as glass without a scan is transparent, not black.

    Parameters
    ----------
    rgba : ndarray of uint8, shape (height, width, 4)
        Colours not multiplied by their alpha.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Examples
    --------
    >>> on_white(np.array([[[0, 0, 0, 0], [10, 20, 30, 255]]], np.uint8)).tolist()
    [[[255, 255, 255], [10, 20, 30]]]
    """
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    weighted = rgba[..., :3] * alpha.astype(np.uint16) + 255 * (255 - alpha.astype(np.uint16))
    return ((weighted + 127) // 255).astype(np.uint8)
