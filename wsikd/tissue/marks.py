"""What looks like tissue and is none: pen, the edge of a coverslip, the border of the scan.

Pen is known by what no stain does at the width of the smoothing: its colour is saturated (or
black) over the whole breadth of a stroke, and smooth. Cells of the strongest stain, with glass and
other cells between them, are neither.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsikd.geometry import Mpp
from wsikd.tissue.discs import Mask, drop_narrow, widen
from wsikd.tissue.settings import TissueSettings

# bits of a pixel's class
_GREENISH, _GREEN, _RED, _BLUE, _BLACK, _GREY, _RIM, _VIVID = (1 << bit for bit in range(8))

_GREENISH_BY = 0.035  # green light left above red, and at most below blue, of the glass's
_GREEN_SATURATION = 0.3  # no tissue is green, haematoxylin less than this
_SATURATION = 0.6  # of red and blue pen; blue of real tissue was 0.45 at most
_VIVID_SATURATION = 0.85  # in some of a red stroke; blood and eosin reach 0.77
_VIVID_SHARE = 0.02  # of the stroke
_BRIGHT_RED = 0.6  # red light left by red pen; brown and dark red keep less
_RIM_SATURATION = 0.25
_BLACK_BELOW = 0.15  # light left by black pen; the least of real tissue was 0.18, in a fold
_SMOOTH = 0.25  # texture of ink, as share of the light that it takes
_STROKE_UM = 100.0  # narrowest stroke
_REACH_UM = 150.0  # farthest that a stroke's pale rim reaches
_LEAST_MM2 = 0.05  # smallest stroke; less is not worth a word either

_GREY_TINT = 0.25  # tint of a grey line, as share of the light that it takes
_LINE_UM = 250.0  # widest line
_LINE_LENGTH_UM = 3000.0  # shortest line
_LINE_SHARE = 0.3  # or so much of the slide's shorter side, if that is more
_BEND_UM = 60.0  # standard deviation of its middle about the straight line
_SHADOW_UM = 2000.0  # deepest shadow along the slide's edge
_SHADOW_SHARE = 0.8  # share of a row that is grey where it is shadow


@dataclass(frozen=True)
class Marks:
    """What looks like tissue and is left out.

    Attributes
    ----------
    left_out : ndarray of bool, shape (height, width)
        All of it, with the pale rims of strokes.
    areas_mm2 : dict of str to float
        How much of each kind would have been tissue, those above a speck.
    """

    left_out: Mask
    areas_mm2: dict[str, float]


def classify(
    share: NDArray[np.float32], texture: NDArray[np.float32], settings: TissueSettings
) -> NDArray[np.uint8]:
    """Sort stained pixels by colour.

    Parameters
    ----------
    share : ndarray of float32, shape (height, width, 3)
        Share of the glass's light that is left.
    texture : ndarray of float32, shape (height, width)
        Its standard deviation.
    settings : TissueSettings
        How tissue is found.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        Bits, which `find_marks` takes.
    """
    red, green, blue = np.moveaxis(share, 2, 0)
    darkest, brightest = share.min(axis=2), share.max(axis=2)
    tint = brightest - darkest
    saturation = tint / np.maximum(brightest, 1e-3)
    smooth = texture < _SMOOTH * (1 - darkest)
    greenish = (green - red > _GREENISH_BY) & (green - blue > -_GREENISH_BY)
    full = (saturation > _SATURATION) & smooth
    classes = (
        (_GREENISH, greenish),
        (_GREEN, greenish & (saturation > _GREEN_SATURATION) & smooth),
        (_RED, full & (red > _BRIGHT_RED) & (abs(green - blue) < tint / 2)),
        (_BLUE, full & (blue == brightest) & (red <= green)),
        (_BLACK, (brightest < _BLACK_BELOW) & smooth),
        (_GREY, tint <= np.maximum(settings.min_tint, _GREY_TINT * (1 - darkest))),
        (_VIVID, saturation > _VIVID_SATURATION),
        (_RIM, (saturation > _RIM_SATURATION) | (brightest < 1 - settings.max_shade)),
    )
    bits = np.zeros(darkest.shape, np.uint8)
    for bit, mask in classes:
        bits |= np.where(mask, np.uint8(bit), np.uint8(0))
    return bits


def find_marks(
    classes: NDArray[np.uint8], tissue: Mask, mpp: Mpp, settings: TissueSettings
) -> Marks:
    """Find pen, the edges of coverslips and shadows along the slide's edge.

    Parameters
    ----------
    classes : ndarray of uint8, shape (height, width)
        As `classify` returns them, 0 where nothing is stained.
    tissue : ndarray of bool, shape (height, width)
        What would be tissue but for its marks.
    mpp : Mpp
        µm per pixel.
    settings : TissueSettings
        How tissue is found.
    """
    found: dict[str, Mask] = {}
    rim = (classes & _RIM) > 0
    if settings.drop_green_ink:
        found["green ink"] = _strokes(classes, (_GREEN, _GREEN), (classes & _GREENISH) > 0, mpp)
    if settings.drop_other_ink:
        for name, bit, core in (
            ("red ink", _RED, _VIVID),
            ("blue ink", _BLUE, _BLUE),
            ("black ink", _BLACK, _BLACK),
        ):
            found[name] = _strokes(classes, (bit, core), rim, mpp)
    if settings.drop_lines:
        grey = tissue & ((classes & _GREY) > 0)
        found["shadow along the slide's edge"] = _shadows(grey, mpp)
        found["straight grey line"] = _lines(grey, mpp)
    left_out = np.zeros_like(tissue)
    areas = {}
    for name, mask in found.items():
        # of what hairs are thinner than, as those are left out anyway
        wide = drop_narrow(mask & tissue & ~left_out, settings.min_width_um, mpp)
        area = int(wide.sum()) * mpp.x * mpp.y / 1e6
        left_out |= mask
        if area >= _LEAST_MM2:
            areas[name] = area
    return Marks(left_out, areas)


def _strokes(classes: NDArray[np.uint8], bits: tuple[int, int], rim: Mask, mpp: Mpp) -> Mask:
    """Find the pixels of one ink where they are as wide as a stroke, with their rim around them.

    The second bit is that of pixels of which each stroke has some.
    """
    seeds, core = ((classes & bit) > 0 for bit in bits)
    if not seeds.any():
        return seeds
    seeds = drop_narrow(seeds, _STROKE_UM, mpp)
    near = widen(seeds, _REACH_UM, mpp)
    labels, count = ndimage.label((near & rim) | seeds, np.ones((3, 3)))
    large = np.bincount(labels[seeds], minlength=count + 1) * mpp.x * mpp.y >= _LEAST_MM2 * 1e6
    core_sizes = np.bincount(labels[seeds & core], minlength=count + 1)
    large &= core_sizes >= _VIVID_SHARE * np.bincount(labels[seeds], minlength=count + 1)
    large[0] = False
    strokes: Mask = large[labels]
    return strokes


def _shadows(grey: Mask, mpp: Mpp) -> Mask:
    """Find rows and columns at the slide's edges that are grey almost throughout."""
    found = np.zeros_like(grey)
    for view, marked, pitch in ((grey, found, mpp.y), (grey.T, found.T, mpp.x)):
        share = view.mean(axis=1)
        for rows in (slice(None), slice(None, None, -1)):
            depth = int(np.argmin(np.append(share[rows] >= _SHADOW_SHARE, False)))
            if depth * pitch <= _SHADOW_UM:
                marked[rows][:depth] |= view[rows][:depth]
    return found


def _lines(grey: Mask, mpp: Mpp) -> Mask:
    """Find long, narrow and straight grey parts."""
    height, width = grey.shape
    least = max(_LINE_LENGTH_UM, _LINE_SHARE * min(height * mpp.y, width * mpp.x))
    found = np.zeros_like(grey)
    long = _long_parts(grey, mpp, least)
    if long.any():
        narrow = long & ~drop_narrow(long, _LINE_UM, mpp)
        for place, part in _parts(narrow):
            if _is_long(part, mpp, least) and _is_straight(part, mpp, least):
                found[place] |= part
    return found


def _long_parts(mask: Mask, mpp: Mpp, least_um: float) -> Mask:
    found = np.zeros_like(mask)
    for place, part in _parts(mask):
        if _is_long(part, mpp, least_um):
            found[place] |= part
    return found


def _parts(mask: Mask) -> Iterator[tuple[tuple[slice, slice], Mask]]:
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        yield place, labels[place] == label


def _is_long(part: Mask, mpp: Mpp, least_um: float) -> bool:
    return math.hypot(part.shape[0] * mpp.y, part.shape[1] * mpp.x) >= least_um


def _is_straight(part: Mask, mpp: Mpp, least_um: float) -> bool:
    points = np.argwhere(part) * (mpp.y, mpp.x)
    points -= points.mean(axis=0)
    _, axes = np.linalg.eigh(points.T @ points)
    across, along = (points @ axes).T
    length = np.ptp(along)
    if length < least_um:
        return False
    width = len(points) * mpp.x * mpp.y / length
    return bool(across.var() - width**2 / 12 <= _BEND_UM**2)
