"""Resampling kernels, and the weights of pixels that they mean."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsikd.config import OneOf

Weights = NDArray[np.float64]


def _box(x: Weights) -> Weights:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _bilinear(x: Weights) -> Weights:
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0.0)


def _bicubic(x: Weights) -> Weights:
    x, a = np.abs(x), -0.5
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, inner, np.where(x < 2, outer, 0.0))


def _lanczos(x: Weights) -> Weights:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


class Kernel(NamedTuple):
    """A resampling kernel.

    Attributes
    ----------
    support : float
        How far it reaches from its centre, in output pixels.
    weigh : callable
        Weights at distances from the centre, in output pixels; of any scale, as each pixel's are
        brought to a sum of 1.
    pillow : Image.Resampling or None
        Pillow's name of it, if Pillow has it.
    """

    support: float
    weigh: Callable[[Weights], Weights]
    pillow: Image.Resampling | None = None


KERNELS: dict[str, Kernel] = {
    "box": Kernel(0.5, _box, Image.Resampling.BOX),
    "bilinear": Kernel(1.0, _bilinear, Image.Resampling.BILINEAR),
    "bicubic": Kernel(2.0, _bicubic, Image.Resampling.BICUBIC),
    "lanczos": Kernel(3.0, _lanczos, Image.Resampling.LANCZOS),
}
"""Name to kernel, as for `--pyramid.kernel`."""

KernelName = OneOf[str, KERNELS]
"""A key of `KERNELS`."""


def kernel_weights(
    source: int, target: int, kernel: str, part: tuple[float, float] | None = None
) -> tuple[NDArray[np.int64], Weights]:
    """Compute the weights of the source pixels in each target pixel, along one axis.

    Parameters
    ----------
    source, target : int
        Length of the axis before and after, in pixels.
    kernel : str
        One of `KERNELS`.
    part : tuple of float, optional
        Where the stretch that becomes the target begins and ends on the source; by default all.

    Returns
    -------
    first : ndarray of int64, shape (target,)
        First source pixel under the kernel.
    weights : ndarray of float64, shape (target, taps)
        Weight of source pixels first, first + 1, ...; rows sum to 1, and pixels outside the image
        weigh 0, as in Pillow.

    Examples
    --------
    >>> first, weights = kernel_weights(4, 2, "box")
    >>> first.tolist(), weights.tolist()
    ([0, 2], [[0.5, 0.5], [0.5, 0.5]])
    """
    start, stop = (0.0, source) if part is None else part
    support, weigh, _ = KERNELS[kernel]
    scale = (stop - start) / target
    stretch = max(scale, 1.0)
    centre = start + (np.arange(target) + 0.5) * scale
    begin = np.clip(np.floor(centre - support * stretch + 0.5), 0, None).astype(np.int64)
    end = np.clip(np.floor(centre + support * stretch + 0.5), None, source).astype(np.int64)
    position = begin[:, None] + np.arange(int((end - begin).max()))
    weights = weigh((position + 0.5 - centre[:, None]) / stretch)
    weights[position >= end[:, None]] = 0
    return begin, weights / weights.sum(axis=1, keepdims=True)
