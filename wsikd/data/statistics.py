"""Mean and standard deviation of the training set's colours, and standardising by them."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from wsikd.data.regions import RegionItem
from wsikd.geometry import Pixels
from wsikd.store import RegionStore

Channels = tuple[float, float, float]


def channel_statistics(
    store: RegionStore, items: Sequence[RegionItem], magnification: float
) -> tuple[Channels, Channels]:
    """Compute mean and standard deviation of red, green and blue over all pixels of all regions.

    One region is in memory at a time. Sums are of whole numbers, so the result does not depend on
    the order of the regions.

    Parameters
    ----------
    store : RegionStore
        Holds the pixels.
    items : sequence of RegionItem
        The training regions, at least one.
    magnification : float
        Which one of each region is read.

    Returns
    -------
    mean, std : tuple of float
        Of red, green and blue, in 0 to 1. `std` is at least one grey level, 1 / 255, so that a
        blank channel can be standardised too.

    Raises
    ------
    StoreError
        If the magnification was not prepared.
    """
    return image_statistics(
        store.read_pixels(item.slide_id, item.region_id, magnification) for item in items
    )


def image_statistics(images: Iterable[Pixels]) -> tuple[Channels, Channels]:
    """Compute mean and standard deviation of red, green and blue over all pixels of all images.

    Parameters
    ----------
    images : iterable of ndarray of uint8, shape (..., 3)
        At least one pixel in all. One image is in memory at a time.

    Returns
    -------
    mean, std : tuple of float
        As of `channel_statistics`.

    Examples
    --------
    >>> mean, std = image_statistics([np.array([[0, 255, 51]], np.uint8)])
    >>> mean, round(255 * std[0])
    ((0.0, 1.0, 0.2), 1)
    """
    histograms = torch.zeros(3, 256, dtype=torch.int64)
    for pixels in images:
        for channel in range(3):
            values = torch.from_numpy(np.ascontiguousarray(pixels[..., channel]))
            histograms[channel] += values.flatten().bincount(minlength=256)
    red, green, blue = (_mean_and_std(histogram.tolist()) for histogram in histograms)
    return (red[0], green[0], blue[0]), (red[1], green[1], blue[1])


def standardise(image: Tensor, mean: Channels, std: Channels) -> Tensor:
    """Subtract the mean of each channel and divide by its standard deviation.

    Parameters
    ----------
    image : Tensor, shape (..., 3, height, width)
        RGB, float in 0 to 1.
    mean, std : tuple of float
        Of red, green and blue.

    Examples
    --------
    >>> standardise(torch.ones(3, 1, 1), (0.5, 0.5, 0.0), (0.5, 0.25, 0.5)).flatten().tolist()
    [1.0, 2.0, 2.0]
    """
    return (image - _column(image, mean)).div_(_column(image, std))


def _column(image: Tensor, values: Channels) -> Tensor:
    return image.new_tensor(values)[:, None, None]


def _mean_and_std(histogram: list[int]) -> tuple[float, float]:
    count = sum(histogram)
    total = sum(value * many for value, many in enumerate(histogram))
    squares = sum(value**2 * many for value, many in enumerate(histogram))
    # the difference is of whole numbers: nothing cancels
    std = math.sqrt((count * squares - total**2) / count**2)
    return total / count / 255, max(std, 1.0) / 255
