"""The empty glass: its colour, and where the picture shows neither glass nor tissue.

Fill and borders of a scan are painted as glass before anything is smoothed, so that their edges
are no tissue either.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from wsikd.errors import NotBrightfieldError
from wsikd.geometry import Mpp
from wsikd.tissue.discs import Mask

_DARK = 100  # glass is brighter than this in every channel
_DARK_HALF = 50  # and fewer than half of the pixels are darker than this
_TINT = 0.15  # a brightest colour more tinted than this is tissue that fills the picture
_WHITE = 245.0
_GLASS_UM = 8.0  # side of the pixels that the glass is measured on
_FLAT = 3  # levels that neighbouring pixels of glass differ at most
_LEAST_GLASS = 0.02  # share of the pixels not white that is flat, where white is fill
_FILL_SIDE = 15  # pixels
_FILL_BRIGHTER = 4  # levels by which white fill is brighter than glass
_LEAST_FILL = 250  # level of fill that is nearly white
_NEUTRAL = 20  # levels between the channels of glass beside such fill, at most
_NEARLY_FILL_BRIGHTER = 12  # levels by which such fill is brighter: glass itself may be 250
_BLACK = 30  # no channel of a scan's black border is brighter
_BORDER = 0.9  # share of a row that is black where it is border
_LEAST_BORDER = 0.001  # share of the picture that exact black at its edge takes at least
_LEAST_BRIGHT = 0.1  # share of the rest of a brightfield slide that is as bright as its glass


@dataclass(frozen=True)
class Ground:
    """What a slide's tissue lies on.

    Attributes
    ----------
    colour : ndarray of float32, shape (3,)
        Of the empty glass.
    nothing : ndarray of bool, shape (height, width)
        Where there is neither glass nor tissue: not scanned, filled up, black border.
    black : ndarray of bool, shape (height, width)
        What of it is black border, which is worth a warning.
    """

    colour: NDArray[np.float32]
    nothing: Mask
    black: Mask


def find_ground(
    overview: NDArray[np.uint8], unscanned: Mask, path: Path, mpp: Mpp | None = None
) -> Ground:
    """Find the colour of the empty glass and where there is none.

    Parameters
    ----------
    overview : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    unscanned : ndarray of bool, shape (height, width)
        Where the file itself says that nothing was scanned.
    path : Path
        The slide, named in the error.
    mpp : Mpp, optional
        µm per pixel. The colour is measured on pixels of 8 µm, as finer ones have brighter specks.

    Raises
    ------
    NotBrightfieldError
        If the background is dark.
    """
    black = _find_border(overview) & ~unscanned
    nothing = unscanned | black
    nothing |= _find_white_fill(overview, nothing)
    block = 1 if mpp is None else max(1, round(_GLASS_UM / min(mpp)))
    pixels, scanned = _in_blocks(overview, ~nothing, block)
    colour = glass_colour(pixels, path, scanned)
    # pixels on the border of fill are mixed with it
    return Ground(colour, ndimage.binary_dilation(nothing, np.ones((3, 3))), black)


def glass_colour(
    overview: NDArray[np.uint8], path: Path, scanned: Mask | None = None
) -> NDArray[np.float32]:
    """Compute the colour of the empty glass.

    Parameters
    ----------
    overview : ndarray of uint8, shape (height, width, 3)
        The whole slide.
    path : Path
        The slide, named in the error.
    scanned : ndarray of bool, shape (height, width), optional
        What counts; by default all.

    Returns
    -------
    ndarray of float32, shape (3,)
        Median of the pixels nearly as bright as the brightest percent, which a few specks brighter
        than the glass cannot move; white where tissue fills the picture.

    Raises
    ------
    NotBrightfieldError
        If the background is dark.
    """
    pixels = _sample(overview, scanned)
    if len(pixels) == 0:
        raise NotBrightfieldError(f"{path}: must be scanned, is fill alone; leave the slide out")
    brightest = np.percentile(pixels, 99, axis=0)
    if brightest.min() < _DARK:
        raise NotBrightfieldError(
            f"{path}: must be brightfield, the darkest channel of its brightest percent is "
            f"{brightest.min():.0f} of 255; leave the slide out"
        )
    half = np.median(pixels.max(axis=1))
    if half < _DARK_HALF:
        raise NotBrightfieldError(
            f"{path}: must be brightfield, half of its pixels are at most {half:.0f} of 255; "
            "leave the slide out"
        )
    if brightest.min() < (1 - _TINT) * brightest.max():
        return np.full(3, _WHITE, np.float32)
    glass = pixels[(pixels >= 0.95 * brightest).all(axis=1)]
    if len(glass) == 0:  # something tinted is brighter in one channel
        level = pixels.min(axis=1)
        glass = pixels[level >= 0.95 * np.percentile(level, 99)]
    colour: NDArray[np.float32] = np.median(glass, axis=0).astype(np.float32)
    return colour


def _in_blocks(
    overview: NDArray[np.uint8], kept: Mask, side: int
) -> tuple[NDArray[np.uint8], Mask]:
    """Average blocks of pixels; a block is kept if all of its pixels are."""
    if side == 1:
        return overview, kept
    means = np.asarray(Image.fromarray(overview).reduce(side))
    whole: Mask = ~ndimage.maximum_filter(~kept, side, origin=-(side // 2))[::side, ::side]
    return means, whole


def _sample(overview: NDArray[np.uint8], kept: Mask | None) -> NDArray[np.uint8]:
    step = math.ceil(math.sqrt(overview.size / 3e6))
    pixels = overview[::step, ::step]
    return pixels.reshape(-1, 3) if kept is None else pixels[kept[::step, ::step]]


def _find_white_fill(overview: NDArray[np.uint8], known: Mask) -> Mask:
    """Find one exact white that is fill: other glass, flat and darker, lies beside it.

    Where the glass itself is white, as some scanners make it, there is no other.
    """
    level = _most_frequent_white(overview)
    white = _open_square((overview == level).all(axis=2)) & ~known
    step = math.ceil(math.sqrt(overview.size / 3e6))
    sample = overview[::step, ::step]
    pixels = sample.min(axis=2)
    # a pixel beside white fill is mixed with it
    rest = ~ndimage.binary_dilation((white | known)[::step, ::step])
    if not white.any() or not rest.any():
        return np.zeros_like(white)
    span = ndimage.maximum_filter(pixels, 3).astype(np.int16) - ndimage.minimum_filter(pixels, 3)
    if level < 255:  # below exact white, flat tissue must not pass for the darker glass
        rest &= sample.max(axis=2) - pixels <= _NEUTRAL
    flat = pixels[rest & (span <= _FLAT) & (pixels >= _DARK)]
    if not len(flat) or len(flat) < _LEAST_GLASS * rest.sum():
        return np.zeros_like(white)
    glass = np.median(flat[flat >= 0.95 * np.percentile(flat, 99)])
    brighter = _FILL_BRIGHTER if level == 255 else _NEARLY_FILL_BRIGHTER
    return white if glass <= level - brighter else np.zeros_like(white)


def _most_frequent_white(overview: NDArray[np.uint8]) -> int:
    """Return 255, or the level just below that most pixels have in all of their channels."""
    lowest = overview.min(axis=2)
    alike = lowest[(lowest >= _LEAST_FILL) & (lowest == overview.max(axis=2))]
    counts = np.bincount(alike, minlength=256)
    return int(counts.argmax()) if counts.any() else 255


def _open_square(mask: Mask) -> Mask:
    """Keep what holds a square of `_FILL_SIDE` pixels: bright specks beside tissue hold none."""
    eroded = ndimage.minimum_filter(mask, _FILL_SIDE, mode="nearest")
    opened: Mask = ndimage.maximum_filter(eroded, _FILL_SIDE, mode="nearest") & mask
    return opened


def _find_border(overview: NDArray[np.uint8]) -> Mask:
    """Find a scan's black border: at the picture's edges, and darker than any tissue.

    A slide with a dark background is left as it is, so that it is refused as such.
    """
    black: Mask = overview.max(axis=2) <= _BLACK
    border = _touching_edges((overview == 0).all(axis=2))
    for view, found in ((black, border), (black.T, border.T)):
        share = view.mean(axis=1)
        for rows in (slice(None), slice(None, None, -1)):
            depth = int(np.argmin(np.append(share[rows] >= _BORDER, False)))
            found[rows][:depth] |= view[rows][:depth]
    is_slide = _is_compact(~border) and _has_glass(_sample(overview, ~border))
    return border if is_slide else np.zeros_like(border)


def _touching_edges(mask: Mask) -> Mask:
    """Keep the parts of a mask that reach the picture's edge and are no mere specks."""
    labels, count = ndimage.label(mask)
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    kept = np.zeros(count + 1, bool)
    kept[np.concatenate(edges)] = True
    kept[0] = False
    kept &= np.bincount(labels.ravel()) >= _LEAST_BORDER * mask.size
    found: Mask = kept[labels]
    return found


def _is_compact(mask: Mask) -> bool:
    """Tell a scan's areas, which are few, from the bright cells of a dark picture."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())[1:]
    return bool(sizes.size and sizes.max() >= 0.25 * sizes.sum())


def _has_glass(pixels: NDArray[np.uint8]) -> bool:
    if len(pixels) == 0 or np.median(pixels.max(axis=1)) < _DARK_HALF:
        return False
    bright = (pixels >= 0.9 * np.percentile(pixels, 99, axis=0)).all(axis=1)
    return bool(bright.mean() >= _LEAST_BRIGHT)
