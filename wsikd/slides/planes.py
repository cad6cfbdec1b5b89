"""Channels of a multi-channel TIFF as RGB, plane by plane: immunofluorescence beside H&E."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from wsikd.errors import ConfigError, SlideError
from wsikd.geometry import Mpp, Pixels, Region, Size
from wsikd.slides.reader import SlideReader
from wsikd.slides.sniff import sniff

_UM = {"µm": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4}
_DAMAGE = (tifffile.TiffFileError, RuntimeError, ValueError, LookupError, TypeError, OSError)


class PlanesReader(SlideReader):
    """Reads one or three channels of a TIFF whose channels are planes of their own.

    A plane of a level is decoded as a whole when it is first asked for, and kept: only the chosen
    channels, and of one level at a time.

    Parameters
    ----------
    path : Path
        A TIFF of 8 bits a channel, such as an OME-TIFF.
    channels : sequence of int or str
        Number from 0 or name of one channel, which is repeated as red, green and blue, or of three.

    Raises
    ------
    ConfigError
        If there is no such channel; the message lists those that there are.
    SlideError
        If the file is damaged or has other than 8 bits.
    """

    name = "planes"

    def __init__(self, path: Path, channels: Sequence[int | str]) -> None:
        self.path, self.version = path, f"tifffile {tifffile.__version__}"
        self._file = _open(path)
        self.format = "ome-tiff" if self._file.is_ome else "generic-tiff"
        self._levels = self._file.series[0].levels
        pixels = _ome_pixels(self._file)
        names = _channel_names(pixels, self._levels[0].shape[0])
        self.channels = [find_channel(wanted, names, path) for wanted in channels]
        self.level_sizes = tuple(Size(level.shape[2], level.shape[1]) for level in self._levels)
        self.stated_mpp = _stated_mpp(pixels)
        self.objective_power = None
        height, width = self._page(0, 0).chunks[:2]
        self.tile_size = Size(width, height)
        self._held: tuple[int, Pixels] | None = None

    def _read(self, region: Region, level: int) -> Pixels:
        down_x, down_y = self.level_downsamples[level]
        limit = self.level_sizes[level]
        # a level-0 corner rarely falls on a whole pixel: never a pixel beyond the border
        left = min(round(region.x / down_x), limit.width - region.size.width)
        top = min(round(region.y / down_y), limit.height - region.size.height)
        planes = self._planes(level)
        cut = planes[:, top : top + region.size.height, left : left + region.size.width]
        return np.ascontiguousarray(np.broadcast_to(np.moveaxis(cut, 0, 2), (*cut.shape[1:], 3)))

    def _planes(self, level: int) -> Pixels:
        """Read the chosen channels of a level, shape (1 or 3, height, width)."""
        if self._held is None or self._held[0] != level:
            self._held = None
            try:
                planes = np.stack([self._page(level, n).asarray() for n in self.channels])
            except _DAMAGE as error:
                reason = " ".join(str(error).split())
                raise SlideError(
                    f"{self.path}: a plane of level {level} cannot be decoded ({reason}); copy the "
                    "file again"
                ) from None
            self._held = level, planes
        return self._held[1]

    def _page(self, level: int, channel: int) -> tifffile.TiffPage:
        page = self._levels[level].pages[channel]
        assert page is not None  # planes that a file leaves out are not in its series
        return page.aspage()

    def _close(self) -> None:
        self._held = None
        self._file.close()


def has_planes(path: Path) -> bool:
    """Tell whether a file is a TIFF whose channels are planes of their own."""
    if path.is_dir() or sniff(path) != "tiff":
        return False
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            return len(series.shape) == 3 and series.axes[1:] == "YX" and series.shape[0] > 1
    except _DAMAGE:
        return False  # the slide readers report what is wrong with it


def find_channel(wanted: int | str, names: Sequence[str], path: Path) -> int:
    """Find the number of a channel; case, blanks, "-" and "_" of names do not matter.

    Examples
    --------
    >>> find_channel("pan ck", ["Hoechst", "Pan-CK"], Path("if.tif"))
    1

    Raises
    ------
    ConfigError
        If there is none, or several of that name.
    """
    text = str(wanted)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    found = [number for number, name in enumerate(names) if _plain(name) == _plain(text)]
    if len(found) != 1:
        have = ", ".join(f"{number} {name}".strip() for number, name in enumerate(names))
        raise ConfigError(f"{path}: has channels {have}, not {text!r}; choose with --channels")
    return found[0]


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", " -_"))


def _open(path: Path) -> tifffile.TiffFile:
    try:
        file = tifffile.TiffFile(path)
        series = file.series[0]
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise SlideError(f"{path}: the TIFF is damaged ({reason}); copy the file again") from None
    if series.dtype != np.uint8:
        file.close()
        raise SlideError(
            f"{path}: must have 8 bits a channel, has {series.dtype}; export it with a display "
            "window"
        )
    return file


def _ome_pixels(file: tifffile.TiffFile) -> dict[str, Any]:
    """Read what OME-XML holds of the first image; nothing for a TIFF without."""
    if file.ome_metadata is None:
        return {}
    images = tifffile.xml2dict(file.ome_metadata)["OME"].get("Image", {})
    first = images[0] if isinstance(images, list) else images
    pixels: dict[str, Any] = first.get("Pixels", {})
    return pixels


def _channel_names(pixels: dict[str, Any], count: int) -> list[str]:
    channels = pixels.get("Channel", [])
    channels = channels if isinstance(channels, list) else [channels]
    names = [str(channel.get("Name", "")) for channel in channels]
    return names if len(names) == count else [""] * count


def _stated_mpp(pixels: dict[str, Any]) -> Mpp | None:
    try:
        x, y = (
            float(pixels[f"PhysicalSize{axis}"]) * _UM[pixels.get(f"PhysicalSize{axis}Unit", "µm")]
            for axis in "XY"
        )
    except (KeyError, ValueError):  # not stated, or in a unit that is no length
        return None
    return Mpp(x, y)
