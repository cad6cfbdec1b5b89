"""OME-Zarr images in RGB as slides: what bioformats2raw and other converters write."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from wsikd.errors import SlideError, UnsupportedSlideError
from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.reader import FileReader
from wsikd.slides.sniff import FileKind

_UM = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4,
       "meter": 1e6, "picometer": 1e-6, "angstrom": 1e-4, "inch": 25400.0}  # fmt: skip
_RGB = ["FF0000", "00FF00", "0000FF"]
_OF_LIKE_SIZE = 1 / 3  # of the largest image, as of the pictures of a TIFF
# what the codecs of chunks raise; zlib's error is of no other kind
_DAMAGE = (RuntimeError, ValueError, OSError, LookupError, TypeError, EOFError, zlib.error)


class OmeZarrReader(FileReader):
    """Reads an OME-Zarr image of NGFF 0.4 or 0.5 whose channels are red, green and blue.

    Parameters
    ----------
    path : Path
        Folder of the image, or one of several images of which the largest is the slide.
    """

    name = "omezarr"

    @classmethod
    def suits(cls, path: Path, kind: FileKind) -> int:  # noqa: ARG003
        """Return 3 for a folder of Zarr."""
        return 3 if kind == "zarr" else 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = f"zarr {zarr.__version__}"
        try:
            group, image = _find_image(zarr.open_group(path, mode="r"))
            axes = [axis["name"] for axis in image["axes"]]
            self._levels = [_Level(group[entry["path"]], axes) for entry in image["datasets"]]
            self.stated_mpp = _stated_mpp(image)
        except _UnlikeError as error:
            raise UnsupportedSlideError(
                f"{path}: unsupported, must be one OME-Zarr image in RGB with 8 bits, got {error};"
                " convert it"
            ) from None
        except _DAMAGE as error:
            reason = " ".join(str(error).split())
            raise SlideError(
                f"{path}: the OME-Zarr metadata are missing or damaged ({reason}); copy it again"
            ) from None
        self.format = "ome-zarr"
        self.objective_power = None
        self.level_sizes = tuple(level.size for level in self._levels)
        self.tile_size = self._levels[0].chunk
        self.notes = self._levels[0].missing()

    def _read(self, region: Region, level: int) -> Pixels:
        down_x, down_y = self.level_downsamples[level]
        limit = self.level_sizes[level]
        # a level-0 corner rarely falls on a whole pixel: never a pixel beyond the border
        left = min(round(region.x / down_x), limit.width - region.size.width)
        top = min(round(region.y / down_y), limit.height - region.size.height)
        try:
            return self._levels[level].read(left, top, region.size)
        except _DAMAGE:
            return self._read_by_chunks(level, (left, top), region.size)

    def _read_by_chunks(self, level: int, corner: tuple[int, int], size: Size) -> Pixels:
        """Read a rectangle chunk by chunk, as one of them is damaged; that one is white."""
        (left, top), chunk = corner, self._levels[level].chunk
        pixels = np.full((size.height, size.width, 3), 255, np.uint8)
        for y in range(top // chunk.height * chunk.height, top + size.height, chunk.height):
            for x in range(left // chunk.width * chunk.width, left + size.width, chunk.width):
                x0, x1 = max(x, left), min(x + chunk.width, left + size.width)
                y0, y1 = max(y, top), min(y + chunk.height, top + size.height)
                try:
                    part = self._levels[level].read(x0, y0, Size(x1 - x0, y1 - y0))
                except _DAMAGE as error:
                    reason = " ".join(str(error).split())
                    self._note_damage(level, (x, y), chunk, reason)
                else:
                    pixels[y0 - top : y1 - top, x0 - left : x1 - left] = part
        return pixels

    def _close(self) -> None:
        self._levels.clear()


class _UnlikeError(Exception):
    """An image is whole, but of another kind; the text says which."""


class _Level:
    """One level: an array in which c, y and x are found by their names."""

    def __init__(self, array: Any, axes: list[str]) -> None:
        sizes = dict(zip(axes, array.shape, strict=True))
        others = [axis for axis in axes if axis not in ("c", "y", "x") and sizes[axis] > 1]
        if others or sizes.get("c") != 3 or array.dtype != np.uint8:
            shape = " x ".join(map(str, array.shape))
            raise _UnlikeError(f"axes {''.join(axes)} of {shape} in {array.dtype}")
        self._array, self._axes = array, axes
        self.size = Size(sizes["x"], sizes["y"])
        blocks = dict(zip(axes, array.chunks, strict=True))
        self.chunk = Size(min(blocks["x"], sizes["x"]), min(blocks["y"], sizes["y"]))

    def read(self, left: int, top: int, size: Size) -> Pixels:
        """Read a rectangle, shape (height, width, 3)."""
        spans = {"x": slice(left, left + size.width), "y": slice(top, top + size.height)}
        index = tuple(spans.get(axis, slice(None) if axis == "c" else 0) for axis in self._axes)
        found = np.asarray(self._array[index])
        kept = [axis for axis in self._axes if axis in ("c", "y", "x")]
        return np.ascontiguousarray(found.transpose([kept.index(axis) for axis in ("y", "x", "c")]))

    def missing(self) -> tuple[str, ...]:
        """Say how many chunks are not there: left out by the converter, or lost on the way."""
        there, whole = self._array.nchunks_initialized, self._array.nchunks
        if there >= whole:
            return ()
        fill = self._array.fill_value
        return (f"{whole - there} of {whole} chunks of level 0 are left out and read as {fill}",)


def _find_image(group: zarr.Group) -> tuple[zarr.Group, Mapping[str, Any]]:
    """Find the image of a folder: itself, or the largest of those of bioformats2raw."""
    attributes = _attributes(group)
    if "multiscales" in attributes:
        _check_colours(attributes)
        return group, attributes["multiscales"][0]
    images = {name: child for name, child in group.groups() if name.isdecimal()}
    if not images:
        raise _UnlikeError("a Zarr group without multiscales")
    areas = {name: _area(images[name]) for name in sorted(images, key=int)}
    largest = max(areas, key=lambda name: areas[name])
    like = [name for name in areas if areas[name] > _OF_LIKE_SIZE * areas[largest]]
    if len(like) > 1:
        raise _UnlikeError(f"{len(like)} images of like size, {', '.join(like)}; name one of them")
    return _find_image(images[largest])


def _attributes(group: zarr.Group) -> Mapping[str, Any]:
    attributes: dict[str, Any] = group.attrs.asdict()
    found: Mapping[str, Any] = attributes.get("ome", attributes)  # NGFF 0.5, or 0.4
    return found


def _area(group: zarr.Group) -> int:
    images = _attributes(group).get("multiscales", [])
    if not images:
        return 0
    array: Any = group[images[0]["datasets"][0]["path"]]
    return int(array.shape[-1] * array.shape[-2])


def _check_colours(attributes: Mapping[str, Any]) -> None:
    """Refuse three channels that are no colours but stains of fluorescence."""
    channels = attributes.get("omero", {}).get("channels", [])
    colours = [str(channel.get("color", "")).upper()[:6] for channel in channels]
    if colours and colours != _RGB:
        raise _UnlikeError(f"channels in {', '.join(colours)}")


def _stated_mpp(image: Mapping[str, Any]) -> Mpp | None:
    """Return the µm per level-0 pixel that scales and the unit of the axes state."""
    scales = [1.0] * len(image["axes"])
    for transformations in (
        image["datasets"][0].get("coordinateTransformations", []),
        image.get("coordinateTransformations", []),  # of all levels
    ):
        for transformation in transformations:
            if transformation["type"] == "scale":
                pairs = zip(scales, transformation["scale"], strict=True)
                scales = [one * other for one, other in pairs]
    told = {
        axis["name"]: scale * _UM[axis["unit"]]
        for axis, scale in zip(image["axes"], scales, strict=True)
        if axis.get("unit") in _UM
    }
    return Mpp(told["x"], told["y"]) if told.keys() >= {"x", "y"} else None
