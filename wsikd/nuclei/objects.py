"""From confidences to the mask of nuclei: a threshold, and the published smoothing, in rows.

The morphology is that of the published code [1]_ at 0.25 µm per pixel: an opening and a closing by
a disk of radius 3 px, then by one of 1 px. Here the radii are lengths, so that they mean the same
at other resolutions.

References
----------
.. [1] Boserup, Selvan. "Efficient Self-Supervision using Patch-based Contrastive Learning for
       Histopathology Image Segmentation". 2023. arXiv:2208.10779.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wsikd.config import Settings
from wsikd.geometry import Mpp

Mask = NDArray[np.bool_]

ASSUMED_MPP = 0.25
"""µm per pixel that lengths are converted with where it is unknown: the published resolution."""

_RADII_UM = (0.75, 0.25)
_ROWS = 256  # smoothed at once, beside their halo


class ObjectSettings(Settings):
    """How confidences become nuclei; where µm per pixel are unknown, 0.25 are assumed."""

    threshold: float | None = Field(
        None, ge=0, le=1, description="confidence above which pixels are nucleus; unset: --adapt"
    )
    adapt: bool = Field(
        True, description="choose each slide's threshold by its haematoxylin; no: the model's"
    )
    smooth: bool = Field(
        True, description="open and close the mask by disks of 0.75 µm and of 0.25 µm"
    )
    split: bool = Field(True, description="divide touching nuclei by a watershed")
    min_area_um2: float = Field(
        10.0, ge=0, description="smallest nucleus, and smallest hole in one that is kept, in µm²"
    )
    min_distance_um: float = Field(
        2.0, gt=0, description="least distance between the centres of nuclei that touch, in µm"
    )

    @property
    def adapts(self) -> bool:
        """Whether each slide gets a threshold of its own."""
        return self.adapt and self.threshold is None


def mask_rows(
    rows: Iterable[NDArray[np.float32]], settings: ObjectSettings, threshold: float, mpp: Mpp | None
) -> Iterator[Mask]:
    """Turn rows of confidence into rows of the mask of nuclei.

    Parameters
    ----------
    rows : iterable of ndarray of float32, shape (any, width)
        Confidence that a pixel is nucleus, from the top of the field.
    settings : ObjectSettings
        Whether the mask is smoothed.
    threshold : float
        Confidence above which a pixel is nucleus, where the settings state none.
    mpp : Mpp or None
        µm per pixel of the rows.

    Yields
    ------
    ndarray of bool, shape (any, width)
        Rows of what the whole field at once would be; outside it there is neither nucleus nor
        background. A few hundred rows are held.
    """
    limit = np.float32(threshold if settings.threshold is None else settings.threshold)
    masks = (part > limit for part in rows)
    return _smooth_rows(masks, smoothing_radii(mpp)) if settings.smooth else masks


def smooth(mask: Mask, mpp: Mpp | None) -> Mask:
    """Open and close a whole mask by the two disks, one after the other."""
    return _smooth(mask, smoothing_radii(mpp))


def smoothing_radii(mpp: Mpp | None) -> tuple[int, ...]:
    """Compute the radii of the disks in whole pixels.

    Examples
    --------
    >>> smoothing_radii(None), smoothing_radii(Mpp(0.5, 0.5)), smoothing_radii(Mpp(1.0, 1.0))
    ((3, 1), (2, 1), (1, 0))
    """
    return tuple(math.floor(um / pixel_side(mpp) + 0.5) for um in _RADII_UM)


def pixel_side(mpp: Mpp | None) -> float:
    """Compute the side of a square as large as a pixel, in µm; 0.25 where it is unknown."""
    return ASSUMED_MPP if mpp is None else math.sqrt(mpp.x * mpp.y)


def gather_rows(rows: Iterable[NDArray[Any]], height: int) -> Iterator[NDArray[Any]]:
    """Deal rows anew, into parts of one height; the last may be lower.

    Examples
    --------
    >>> [len(part) for part in gather_rows([np.zeros((5, 2)), np.zeros((3, 2))], 3)]
    [3, 3, 2]
    """
    held: list[NDArray[Any]] = []
    count = 0
    for part in rows:
        held.append(part)
        count += len(part)
        if count >= height:
            gathered = np.concatenate(held)
            yield from np.split(gathered[: count // height * height], count // height)
            held = [gathered[count // height * height :]]
            count %= height
    if count:
        yield np.concatenate(held)


def _smooth_rows(masks: Iterable[Mask], radii: tuple[int, ...]) -> Iterator[Mask]:
    halo = 4 * sum(radii)  # an opening and a closing look twice their radius far each
    held, above = None, 0  # `above` rows are held as the context of those below them alone
    for part in gather_rows(masks, _ROWS):
        held = part if held is None else np.concatenate([held, part])
        ready = len(held) - halo
        if ready > above:
            yield _smooth(held, radii)[above:ready]
            held = held[max(0, ready - halo) :]
            above = min(ready, halo)
    if held is not None:
        yield _smooth(held, radii)[above:]


def _smooth(mask: Mask, radii: tuple[int, ...]) -> Mask:
    for radius in radii:
        opened = _dilate(_erode(mask, radius), radius)
        mask = _erode(_dilate(opened, radius), radius)
    return mask


def _erode(mask: Mask, radius: int) -> Mask:
    return ~_dilate(~mask, radius)


def _dilate(mask: Mask, radius: int) -> Mask:
    """Dilate by a disk, whose rows are runs: one OR for each run length and each row of it."""
    height, width = mask.shape
    padded = np.pad(mask, radius)
    runs = [padded[:, radius : radius + width]]
    for reach in range(1, radius + 1):
        left, right = radius - reach, radius + reach
        runs.append(runs[-1] | padded[:, left : left + width] | padded[:, right : right + width])
    dilated = runs[radius][radius : radius + height].copy()
    for step in range(1, radius + 1):
        run = runs[math.isqrt(radius**2 - step**2)]
        dilated |= run[radius - step : radius - step + height]
        dilated |= run[radius + step : radius + step + height]
    return dilated
