"""From a patch to the same tissue on a registered slide: an affine transform in µm."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsikd.data.pairs.settings import Transform
from wsikd.data.patches import Place
from wsikd.geometry import Mpp, Pixels, Size
from wsikd.pyramid.resample import resample, resample_part


class Box(NamedTuple):
    """A rectangle on a slide, in µm from its top left corner."""

    left: float
    top: float
    right: float
    bottom: float


class Window(NamedTuple):
    """Pixels of a part of a slide; `left` and `top` of the part in µm."""

    pixels: Pixels
    left: float
    top: float
    mpp: Mpp


def corners(place: Place, transform: Transform) -> NDArray[np.float64]:
    """Compute where the corners of a patch are on the other slide, in µm.

    Returns
    -------
    ndarray of float, shape (4, 2)
        x and y of top left, top right, bottom left, bottom right.

    Examples
    --------
    >>> corners(Place("s", 10.0, 20.0, 4.0, 2.0), (1, 0, 5, 0, 1, 0))[3].tolist()
    [19.0, 22.0]
    """
    a, b, c, d, e, f = transform
    x = place.x_um + np.array([0, 1, 0, 1]) * place.width_um
    y = place.y_um + np.array([0, 0, 1, 1]) * place.height_um
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def bounds(points: NDArray[np.float64]) -> Box:
    """Return the rectangle around points."""
    return Box(*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


def sample(window: Window, points: NDArray[np.float64], size: Size, kernel: str) -> Pixels:
    """Sample a parallelogram of a slide.

    Parameters
    ----------
    window : Window
        Holds it, with a margin for the kernel where the slide has one.
    points : ndarray of float, shape (4, 2)
        Its corners in µm, as `corners` returns them.
    size : Size
        Of the result.
    kernel : str
        One of `wsikd.pyramid.kernels.KERNELS`; a parallelogram that is turned or mirrored is first
        reduced with it, if finer, and then sampled bilinearly.

    Returns
    -------
    ndarray of uint8, shape (size.height, size.width, 3)
    """
    at = (points - (window.left, window.top)) / window.mpp  # in pixels of the window, not rounded
    first, along_x, along_y = at[0], at[1] - at[0], at[2] - at[0]
    if along_x[0] > 0 and along_y[1] > 0 and along_x[1] == along_y[0] == 0:
        height, width = window.pixels.shape[:2]
        box = (*np.maximum(first, 0), min(at[3, 0], width), min(at[3, 1], height))
        return resample_part(window.pixels, box, size, kernel)
    step = min(np.hypot(*along_x) / size.width, np.hypot(*along_y) / size.height)
    pixels, scale = _reduced(window.pixels, step, kernel)
    x, y, start = along_x / size.width * scale, along_y / size.height * scale, first * scale
    matrix = (x[0], y[0], start[0], x[1], y[1], start[1])
    image = Image.fromarray(pixels)
    kind, how = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    return np.asarray(image.transform(size, kind, matrix, resample=how))


def _reduced(pixels: Pixels, step: float, kernel: str) -> tuple[Pixels, NDArray[np.float64]]:
    """Bring pixels finer than the result to about its resolution; also return the scale."""
    height, width = pixels.shape[:2]
    if step <= 1:
        return pixels, np.ones(2)
    size = Size(max(1, round(width / step)), max(1, round(height / step)))
    return resample(pixels, size, kernel), np.array([size.width / width, size.height / height])
