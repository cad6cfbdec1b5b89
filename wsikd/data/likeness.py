"""Whether images are the same, or nearly: digests of decoded pixels, and perceptual hashes.

A digest tells equal pixels whatever file they come from. A perceptual hash is nearly the same for
an image that was compressed again, scaled or made brighter; alike is not equal, so that nothing is
refused for it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsikd.geometry import Pixels
from wsikd.hashing import bytes_digest

SMALLEST = 32
"""Side in pixels below which an image has no perceptual hash: too little is in it."""

_SIDE, _KEPT = 32, 8  # pixels an image is brought to, and frequencies along a side that are kept
_WAVES = np.cos(
    np.pi / (2 * _SIDE) * np.outer(np.arange(_KEPT), 2 * np.arange(_SIDE) + 1)
)  # the cosine transform of a side
_ALIKE = 8  # of 64 bits; see docs/decisions.md
_AT_ONCE = 2**22  # pairs compared in one go


def pixel_digest(pixels: Pixels) -> str:
    """Hash the size and the pixels of an image; empty for one colour, which shows nothing.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)

    Examples
    --------
    >>> image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    >>> pixel_digest(image)[:8], pixel_digest(np.zeros((2, 2, 3), np.uint8))
    ('9917b972', '')
    """
    if (pixels == pixels[:1, :1]).all():
        return ""
    height, width = pixels.shape[:2]
    return bytes_digest([f"{width}x{height}".encode(), np.ascontiguousarray(pixels).tobytes()])


def perceptual_hash(pixels: Pixels) -> str:
    """Compute 64 bits of how an image looks, as hexadecimal text; empty if it is too small.

    Each bit tells whether one of the 8 × 8 lowest frequencies of the grey image, brought to
    32 × 32 pixels, is above their median [1]_.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)

    References
    ----------
    .. [1] Zauner. "Implementation and Benchmarking of Perceptual Image Hash Functions". 2010.
    """
    if min(pixels.shape[:2]) < SMALLEST or (pixels == pixels[:1, :1]).all():
        return ""
    small = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    waves = _WAVES @ np.asarray(small, np.float64) @ _WAVES.T
    return np.packbits((waves > np.median(waves)).ravel()).tobytes().hex()


def find_alike(known: Sequence[str], asked: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the places of images that look alike, for each of `asked` the nearest of `known`.

    Parameters
    ----------
    known, asked : sequence of str
        From `perceptual_hash`; empty ones are like nothing.

    Examples
    --------
    >>> list(find_alike(["", "00000000000000ff"], ["0f00000000000000", "", "00000000000000fe"]))
    [(1, 2)]
    """
    known_at, known_bits = _bits(known)
    asked_at, asked_bits = _bits(asked)
    if not known_at or not asked_at:
        return
    step = max(1, _AT_ONCE // len(known_at))
    for start in range(0, len(asked_at), step):
        distances = np.bitwise_count(asked_bits[start : start + step, None] ^ known_bits)
        nearest = distances.argmin(1)
        for row in np.flatnonzero(distances.min(1) <= _ALIKE):
            yield known_at[nearest[row]], asked_at[start + row]


def _bits(hashes: Sequence[str]) -> tuple[list[int], NDArray[np.uint64]]:
    """Return the places of hashes that are not empty, and these as numbers."""
    places = [place for place, text in enumerate(hashes) if text]
    return places, np.array([int(hashes[place], 16) for place in places], np.uint64)
