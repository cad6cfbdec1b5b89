"""What is segmented: whole images, tissue regions of slides, or regions of a store, at one mpp.

The pixels of a field are read in strips from the top, so that it may be of any size, or in crops.
"""

import abc
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import zarr

from wsikd.data.fields.open_files import OpenFiles
from wsikd.errors import StoreError
from wsikd.geometry import Mpp, Pixels, PyramidLevel, Region, Size
from wsikd.pyramid.resample import resample
from wsikd.store.arrays import open_array
from wsikd.store.labels import LabelLevel

if TYPE_CHECKING:
    import shapely

Colour = tuple[float, float, float]
"""Red, green and blue, in 0 to 255."""

_WHITE = 240.0  # what unstained light is brought to


@dataclass(frozen=True, kw_only=True)
class Field(abc.ABC):
    """A rectangle of a slide, or an image, in the pixels it is segmented at.

    Attributes
    ----------
    slide_id, region_id : str
        The slide and the region it is; the only region of an image is called "image".
    box : Region
        In the level-0 frame, at level 0.
    slide_mpp : Mpp or None
        µm per level-0 pixel; None if unknown.
    size : Size
        In the pixels it is segmented at.
    magnification : float or None
        Nominal, of those pixels; None if the mpp is unknown.
    light : tuple of float
        Red, green and blue of light that no stain took from; see `balance`.
    outline : Geometry or None
        The tissue in level-0 pixels; None if all of the box counts.
    coarser : tuple of LabelLevel
        Further sizes that its labels are written at: those of the region store.
    """

    slide_id: str
    region_id: str
    box: Region
    slide_mpp: Mpp | None
    size: Size
    magnification: float | None
    light: Colour
    outline: "shapely.Geometry | None" = None
    coarser: tuple[LabelLevel, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.slide_id}/{self.region_id}"

    @property
    def scale(self) -> tuple[float, float]:
        """Level-0 pixels per pixel of the field along x and y."""
        width, height = self.box.size
        return width / self.size.width, height / self.size.height

    @property
    def mpp(self) -> Mpp | None:
        """µm per pixel of the field along x and y, from the true sizes; None if unknown."""
        if self.slide_mpp is None:
            return None
        across, down = self.scale
        return Mpp(self.slide_mpp.x * across, self.slide_mpp.y * down)

    @property
    def level(self) -> LabelLevel:
        """The pixels it is segmented at, as a level of its labels."""
        return LabelLevel(self.size, self.mpp, self.magnification)

    @property
    @abc.abstractmethod
    def source(self) -> Path:
        """The file or folder its pixels are in."""

    @abc.abstractmethod
    def strips(self) -> Iterator[Pixels]:
        """Read all rows from the top, a strip of shape (rows, width, 3) at a time.

        Raises
        ------
        SlideError, StoreError
            If the pixels cannot be decoded.
        """

    @abc.abstractmethod
    def crop(self, left: int, top: int, size: Size) -> Pixels:
        """Read a rectangle, in the field's pixels.

        Returns
        -------
        ndarray of uint8, shape (size.height, size.width, 3)
        """

    def keeping(self, files: OpenFiles) -> Self:  # noqa: ARG002
        """Return the field with crops that are read from files kept open in `files`.

        Without that each crop opens its file and closes it.
        """
        return self


@dataclass(frozen=True, kw_only=True)
class FileField(Field):
    """A field whose pixels are in the file of a slide or of an image.

    Attributes
    ----------
    path : Path
        The file.
    reader : str or None
        Key of `wsikd.slides.READERS`; None for the one that suits.
    files : OpenFiles or None
        Keeps the file open between crops; None closes it after each.
    """

    path: Path
    reader: str | None = None
    files: OpenFiles | None = attribute(default=None, repr=False, compare=False)

    @property
    def source(self) -> Path:
        return self.path

    def strips(self) -> Iterator[Pixels]:
        from wsikd.pyramid.levels import build_pyramid  # noqa: PLC0415
        from wsikd.slides import open_slide  # noqa: PLC0415

        level = PyramidLevel(self.magnification or 0.0, self.size, self.mpp or Mpp(1.0, 1.0))
        with open_slide(self.path, reader=self.reader) as opened:
            yield from (rows for _, rows in build_pyramid(opened, self.box, [level]))

    def crop(self, left: int, top: int, size: Size) -> Pixels:
        """Read a rectangle, resampled on its own: at most one level-0 pixel off `strips`."""
        (across, down), box = self.scale, self.box
        width = min(box.size.width, max(1, round(size.width * across)))
        height = min(box.size.height, max(1, round(size.height * down)))
        x = min(round(left * across), box.size.width - width)
        y = min(round(top * down), box.size.height - height)
        place = Region(box.x + x, box.y + y, Size(width, height))
        return resample(self._read(place), size)

    def keeping(self, files: OpenFiles) -> Self:
        return replace(self, files=files)

    def _read(self, place: Region) -> Pixels:
        if self.files is not None:
            return self.files.read(self.path, self.reader, place)
        with OpenFiles() as files:
            return files.read(self.path, self.reader, place)


@dataclass(frozen=True, kw_only=True)
class StoreField(Field):
    """A region of a store that has the magnification asked for.

    Attributes
    ----------
    path : Path
        The array of that magnification, of shape (3, height, width).
    """

    path: Path

    @property
    def source(self) -> Path:
        return self.path.parent

    def strips(self) -> Iterator[Pixels]:
        rows = self._opened().chunks[1]
        for top in range(0, self.size.height, rows):
            below = min(top + rows, self.size.height)
            yield self.crop(0, top, Size(self.size.width, below - top))

    def crop(self, left: int, top: int, size: Size) -> Pixels:
        try:
            pixels = self._opened()[:, top : top + size.height, left : left + size.width]
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise StoreError(
                f"{self.path}: damaged ({reason}); remove the slide and prepare it again"
            ) from None
        return np.ascontiguousarray(np.moveaxis(np.asarray(pixels, np.uint8), 0, 2))

    def _opened(self) -> zarr.Array[Any]:
        return open_array(self.path)


def balance(pixels: Pixels, light: Colour) -> Pixels:
    """Bring unstained light to one white, so that slides of different lamps and stains compare.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    light : tuple of float
        Its red, green and blue.

    Examples
    --------
    >>> balance(np.array([[[100, 200, 50]]], np.uint8), (200, 200, 200)).tolist()
    [[[120, 240, 60]]]
    """
    values = np.arange(256)[:, None] * (_WHITE / np.maximum(light, 1))
    table = np.floor(np.minimum(values, 255) + 0.5).astype(np.uint8)
    return np.stack([table[pixels[..., channel], channel] for channel in range(3)], axis=-1)


def brightest(pixels: Pixels) -> Colour:
    """Compute the brightness that 5 % of an image's pixels exceed, in each channel."""
    step = math.ceil(math.sqrt(pixels.size / 3e6))
    red, green, blue = np.percentile(pixels[::step, ::step].reshape(-1, 3), 95, axis=0)
    return float(red), float(green), float(blue)
