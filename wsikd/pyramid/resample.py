"""Bring a uint8 image to another size with an anti-aliased kernel, whole or strip by strip.

The kernel's support grows with the reduction, as in Pillow; OpenCV's and the plain interpolations
of deep-learning libraries do not widen it and alias. The filter is separable: along x at once for
whole rows, then along y on rows that are already narrower, with rounding and clipping to uint8
between the two as Pillow does. So an image can pass through in strips of rows, and only the rows
under the kernel are held.

x goes first whatever the shape, so that tissue looks the same in any box around it. Pillow's own
order depends on version and shape: 13.0 takes y first where rows are lost, and more than twice as
many as columns. What is clipped to 0 and 255 between the two is other then, and the result by up to
9 grey levels on tissue.

Where Pillow has the kernel, it or torch filters along x; the weights of any other kernel are summed
up here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wsikd.errors import ConfigError
from wsikd.geometry import Pixels, Size
from wsikd.pyramid.kernels import KERNELS, Weights, kernel_weights

_ROWS_PER_PRODUCT = 8  # few, so that the banded weight matrix stays nearly full
_FRACTION = 2.0**22  # weights in these fractions, as Pillow's are


def resample(image: Pixels, size: Size, kernel: str = "lanczos") -> Pixels:
    """Bring an image to a size.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        RGB image.
    size : Size
        Width and height wanted.
    kernel : str
        One of `KERNELS`.

    Returns
    -------
    ndarray of uint8, shape (size.height, size.width, 3)
        Within 1 grey level of Pillow's `Image.resize` with the same kernel, first to
        (size.width, height) and then to `size`; 2 where roundings apart along x add up, in at most
        one of ten thousand values of noise, stripes and stain.

    Raises
    ------
    ConfigError
        If the kernel is unknown.

    Examples
    --------
    >>> grey = np.full((12, 24, 3), 7, np.uint8)
    >>> resample(grey, Size(6, 3)).shape
    (3, 6, 3)
    """
    height, width, _ = image.shape
    return StripResampler(Size(width, height), size, kernel).push(image)


def resample_part(
    image: Pixels, part: tuple[float, float, float, float], size: Size, kernel: str
) -> Pixels:
    """Bring a rectangle of an image, of whole pixels or not, to a size.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        RGB image; what lies around the rectangle is seen by the kernel.
    part : tuple of float
        Left, top, right and bottom of the rectangle, in pixels of the image.
    size : Size
        Width and height wanted.
    kernel : str
        One of `KERNELS`.

    Returns
    -------
    ndarray of uint8, shape (size.height, size.width, 3)
    """
    left, top, right, bottom = part
    pillow = KERNELS[kernel].pillow
    if pillow is not None:
        return np.asarray(Image.fromarray(image).resize(size, pillow, box=part))
    narrow = _sum_along_x(image, size.width, kernel, (left, right))
    turned = _sum_along_x(narrow.swapaxes(0, 1), size.height, kernel, (top, bottom))
    return np.ascontiguousarray(turned.swapaxes(0, 1))


class StripResampler:
    """Resizes an image that arrives in strips of whole rows, from the top.

    Parameters
    ----------
    source, target : Size
        Size of the whole image before and after.
    kernel : str
        One of `KERNELS`.

    Raises
    ------
    ConfigError
        If the kernel is unknown.
    """

    def __init__(self, source: Size, target: Size, kernel: str = "lanczos") -> None:
        if kernel not in KERNELS:
            raise ConfigError(f"kernel {kernel!r} is unknown; choose one of {', '.join(KERNELS)}")
        self.source, self.target, self.kernel = source, target, kernel
        self._identity = source.height == target.height
        self._first, self._weights = kernel_weights(source.height, target.height, kernel)
        self._held = np.empty((0, target.width, 3), np.uint8)
        self._held_from = 0  # source row of the first row held
        self._done = 0  # target rows given out

    def push(self, rows: Pixels) -> Pixels:
        """Take the next source rows; return the target rows that they complete.

        Parameters
        ----------
        rows : ndarray of uint8, shape (n, source.width, 3)
            The next n rows of the source.

        Returns
        -------
        ndarray of uint8, shape (m, target.width, 3)
            The next m rows of the target; m may be 0.
        """
        with _one_thread():
            return self._push(rows)

    def _push(self, rows: Pixels) -> Pixels:
        narrow = _resize_rows(rows, self.target.width, self.kernel)
        if self._identity:
            return narrow
        end = self._complete_rows(self._held_from + len(self._held) + len(narrow))
        made = np.empty((end - self._done, self.target.width, 3), np.uint8)
        for start in range(self._done, end, _ROWS_PER_PRODUCT):
            block = made[start - self._done :][:_ROWS_PER_PRODUCT]
            self._combine(narrow, start, block)
        self._done = end
        self._forget(narrow)
        return made

    def _complete_rows(self, received: int) -> int:
        if received == self.source.height:
            return self.target.height
        last = self._first + self._weights.shape[1]
        complete = int(np.searchsorted(last, received, side="right"))
        # whole blocks only: every strip height then gives bit-identical rows
        return complete - complete % _ROWS_PER_PRODUCT

    def _combine(self, narrow: Pixels, start: int, block: Pixels) -> None:
        low, band = _band(self._first, self._weights, start, start + len(block))
        high = min(low + band.shape[1], self.source.height)
        weights = torch.from_numpy(band[:, : high - low]).to(torch.float32)
        rows = self._between(narrow, low, high).reshape(high - low, -1).astype(np.float32)
        product = (weights @ torch.from_numpy(rows)).add_(0.5).clamp_(0, 255)
        torch.from_numpy(block.reshape(len(block), -1)).copy_(product)

    def _between(self, narrow: Pixels, low: int, high: int) -> Pixels:
        """Return the rows from `low` to `high` of those held and the new ones after them."""
        new_from = self._held_from + len(self._held)
        new = narrow[max(0, low - new_from) : max(0, high - new_from)]
        if low >= new_from:
            return new
        return np.concatenate([self._held[low - self._held_from : high - self._held_from], new])

    def _forget(self, narrow: Pixels) -> None:
        """Hold the rows that are still needed, and no others."""
        received = self._held_from + len(self._held) + len(narrow)
        finished = self._done == self.target.height
        needed = received if finished else min(received, int(self._first[self._done]))
        self._held = self._between(narrow, needed, received).copy()
        self._held_from = needed


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to this thread: on a busy machine, threads waiting for each other cost 20 times.

    The products are small, and slides are prepared side by side anyway.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _resize_rows(rows: Pixels, width: int, kernel: str) -> Pixels:
    count, source_width, _ = rows.shape
    if source_width == width:
        return rows
    if kernel == "lanczos" and _TORCH_HAS_LANCZOS and count:
        # (1, 3, rows, width) with the memory of (rows, width, 3) is torch's fast uint8 path; only
        # with the stride of a whole image for the first axis is the result laid out so as well
        strides = (rows.size, 1, 3 * source_width, 3)
        image = torch.from_numpy(np.ascontiguousarray(rows))
        image = image.as_strided((1, 3, count, source_width), strides)
        narrow = torch.nn.functional.interpolate(
            image, size=(count, width), mode="lanczos", antialias=True
        )
        return np.ascontiguousarray(narrow[0].permute(1, 2, 0).numpy())
    pillow = KERNELS[kernel].pillow
    if pillow is None:
        return _sum_along_x(rows, width, kernel)
    return np.asarray(Image.fromarray(rows).resize((width, count), pillow))


def _sum_along_x(
    rows: Pixels, width: int, kernel: str, part: tuple[float, float] | None = None
) -> Pixels:
    """Filter rows by the kernel's own weights.

    The weights are whole numbers of 2^-22, so that double precision sums them without an error and
    each row is the same whatever the rows around it are.
    """
    count, source_width, _ = rows.shape
    first, weights = kernel_weights(source_width, width, kernel, part)
    weights = np.round(weights * _FRACTION) / _FRACTION
    turned = rows.swapaxes(0, 1).reshape(source_width, -1)
    blocks = []
    for start in range(0, width, _ROWS_PER_PRODUCT):
        low, band = _band(first, weights, start, min(start + _ROWS_PER_PRODUCT, width))
        columns = turned[low : low + band.shape[1]].astype(np.float64)
        blocks.append(band[:, : len(columns)] @ columns)
    narrow = np.concatenate(
        [np.floor(block + 0.5).clip(0, 255).astype(np.uint8) for block in blocks]
    )
    return np.ascontiguousarray(narrow.reshape(width, count, 3).swapaxes(0, 1))


def _band(first: NDArray[np.int64], weights: Weights, start: int, end: int) -> tuple[int, Weights]:
    """Make the matrix of the weights of some target pixels, from the source pixel `low` on."""
    low, taps = int(first[start]), weights.shape[1]
    band = np.zeros((end - start, int(first[end - 1]) + taps - low))
    columns = (first[start:end] - low)[:, None] + np.arange(taps)
    np.put_along_axis(band, columns, weights[start:end], axis=1)
    return low, band


# before 2.13 torch has no Lanczos; Pillow's is the reference and ten times slower
_TORCH_HAS_LANCZOS = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 13)
