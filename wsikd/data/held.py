"""Decoded regions that stay: on the device, in memory, or not at all, as there is room."""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wsikd.data.regions import RegionItem
from wsikd.errors import ConfigError
from wsikd.geometry import Size
from wsikd.memory import free_memory
from wsikd.store import RegionStore
from wsikd.words import bytes_text

Resident = Literal["auto", "gpu", "ram", "none"]
"""Where decoded regions stay from epoch to epoch."""

_SHARE_OF_GPU = 1 / 3  # the rest is for networks and what they make of a batch
_SHARE_OF_RAM = 1 / 2  # other programs, and what is being read, have the rest


class Room(NamedTuple):
    """How much may stay, where, and what to tell of it.

    Attributes
    ----------
    bytes : int
        0 keeps nothing.
    device : torch.device
        Where.
    told : str
        One line.
    """

    bytes: int
    device: torch.device
    told: str


def find_room(resident: Resident, needed: int, device: torch.device, *, sharing: int = 1) -> Room:
    """Decide where decoded regions stay.

    Parameters
    ----------
    resident : str
        What was asked for; auto is the GPU, else memory, as far as regions fit.
    needed : int
        Bytes of all of them.
    device : torch.device
        That networks are computed on.
    sharing : int
        Processes on this machine that each keep what they need of them in its memory.

    Raises
    ------
    ConfigError
        If they do not fit where they must, or there is no GPU.
    """
    cpu = torch.device("cpu")
    if resident == "none":
        return Room(0, cpu, "regions are read anew in each epoch")
    if resident == "gpu" and device.type != "cuda":
        raise ConfigError(
            f"--resident gpu needs a GPU, the device is {device}; take --resident ram or auto"
        )
    if resident in ("auto", "gpu") and device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        if needed <= _SHARE_OF_GPU * free:
            return Room(needed, device, f"regions stay on the GPU, {bytes_text(needed)}")
        if resident == "gpu":
            raise _too_large(resident, needed, free, _SHARE_OF_GPU)
    free = free_memory() // sharing
    room = int(_SHARE_OF_RAM * free)
    if needed <= room:
        return Room(needed, cpu, f"regions stay in memory, {bytes_text(needed)}")
    if resident == "ram":
        raise _too_large(resident, needed, free, _SHARE_OF_RAM)
    return Room(room, cpu, f"{bytes_text(room)} of {bytes_text(needed)} of regions stay in memory")


def count_bytes(
    store: RegionStore, items: Iterable[RegionItem], magnifications: Iterable[float]
) -> int:
    """Count the bytes of regions at some magnifications, each region once; from records alone."""
    found, each = 0, tuple(set(magnifications))
    for slide_id, region_id in {(item.slide_id, item.region_id) for item in items}:
        sizes = (store.size(slide_id, region_id, magnification) for magnification in each)
        found += sum(3 * size.width * size.height for size in sizes)
    return found


class HeldPixels:
    """Reads regions, and keeps what was read while there is room; threads may share it.

    Parameters
    ----------
    store : RegionStore
        Holds the pixels.
    room : Room, optional
        Where they stay, and how many; none do by default.
    """

    def __init__(self, store: RegionStore, room: Room | None = None) -> None:
        self.store = store
        self._room = room or Room(0, torch.device("cpu"), "")
        self._left, self._lock = self._room.bytes, threading.Lock()
        self._kept: dict[tuple[str, str, float], Tensor] = {}

    def read(self, item: RegionItem, magnification: float) -> Tensor:
        """Return a region as uint8 of shape (3, height, width); it must not be changed.

        Raises
        ------
        StoreError
            If the magnification was not prepared, or is damaged.
        """
        key = (item.slide_id, item.region_id, magnification)
        kept = self._kept.get(key)
        return self._keep(key, self._decode(key)) if kept is None else kept

    def _decode(self, key: tuple[str, str, float]) -> Tensor:
        pixels = self.store.read_pixels(*key)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))

    def _keep(self, key: tuple[str, str, float], pixels: Tensor) -> Tensor:
        with self._lock:
            if key in self._kept or pixels.nbytes > self._left:
                return self._kept.get(key, pixels)
            self._left -= pixels.nbytes
        self._kept[key] = pixels = pixels.to(self._room.device)
        return pixels


class RegionViews:
    """Some magnifications of each of some regions, by name.

    Parameters
    ----------
    pixels : HeldPixels
        Reads them.
    items : sequence of RegionItem
        The regions.
    views : mapping of str to float
        Name of each view and its magnification.
    """

    def __init__(
        self, pixels: HeldPixels, items: Sequence[RegionItem], views: Mapping[str, float]
    ) -> None:
        self._pixels, self._items, self._views = pixels, items, dict(views)

    def __len__(self) -> int:
        return len(self._items)

    def size(self, index: int) -> Size:
        """Return the size of a region at the largest of the magnifications."""
        item = self._items[index]
        largest = max(self._views.values())
        return self._pixels.store.size(item.slide_id, item.region_id, largest)

    def read(self, index: int, without: Collection[str] = ()) -> dict[str, Tensor]:
        """Read a region's views, but for some, each uint8 of shape (3, height, width)."""
        item = self._items[index]
        return {
            name: self._pixels.read(item, magnification)
            for name, magnification in self._views.items()
            if name not in without
        }


def _too_large(resident: Resident, needed: int, free: int, share: float) -> ConfigError:
    return ConfigError(
        f"--resident {resident} keeps {bytes_text(needed)} of regions, more than {share:.0%} of "
        f"the {bytes_text(free)} that are free; take --resident auto"
    )
