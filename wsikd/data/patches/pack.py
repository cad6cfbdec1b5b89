"""Patches decoded once: one array on disk, mapped by every run and process that learns from it."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from wsikd.files import clear_up, replacing
from wsikd.geometry import Pixels, Size
from wsikd.locks import in_turn

_SILENT_S = 10.0  # between two words on how far the packing is


def pack_view(
    name: str,
    fingerprint: str,
    read: Callable[[int], Pixels],
    count: int,
    size: Size,
    cache: Path,
) -> Pixels:
    """Return images as one array on disk; read them only if no one has before.

    Parameters
    ----------
    name : str
        How the file's name begins.
    fingerprint : str
        Hash of what is read; equal images are shared.
    read : callable
        Reads the image at a place, uint8 of shape (size.height, size.width, 3).
    count : int
        How many there are.
    size : Size
        Of every image.
    cache : Path
        Folder of such files; made if absent. They can be removed whenever nothing runs.

    Returns
    -------
    ndarray of uint8, shape (count, height, width, 3)
        Mapped from disk, read-only. Of processes that ask at once one packs and the others wait.
    """
    path = cache / f"{name}-{fingerprint[:16]}-{size.width}x{size.height}.npy"
    if not path.exists():
        with in_turn(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                clear_up(path.parent, path.name)
                _write(path, read, count, size)
    packed: Pixels = np.load(path, mmap_mode="r")
    assert packed.shape == (count, size.height, size.width, 3), (path, packed.shape)
    return packed


def _write(path: Path, read: Callable[[int], Pixels], count: int, size: Size) -> None:
    said = time.monotonic()
    with replacing(path) as temporary:
        shape = (count, size.height, size.width, 3)
        packed = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for index in range(count):
            packed[index] = read(index)
            if time.monotonic() - said > _SILENT_S:
                said = time.monotonic()
                _say(f"{path.name}: {index + 1} of {count} patches decoded")
        packed.flush()
        del packed  # unmaps it before it gets its name


def _say(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
