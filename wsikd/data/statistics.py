"""Mean and standard deviation of the training set's colours, and standardising by them."""

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from pathlib import Path

from torch import Tensor

from wsikd.data.colours import ColourSums, OnRead, sum_colours
from wsikd.data.regions import RegionItem
from wsikd.geometry import Pixels
from wsikd.store import RegionStore

Channels = tuple[float, float, float]


def channel_statistics(
    store: RegionStore,
    items: Sequence[RegionItem],
    magnification: float,
    cache: Path | None = None,
    on_read: OnRead = lambda _read, _all: None,
) -> tuple[Channels, Channels]:
    """Compute mean and standard deviation of red, green and blue over all pixels of all regions.

    Parameters
    ----------
    store, items, magnification, cache, on_read
        As of `sum_colours`; of the training regions, at least one.

    Returns
    -------
    mean, std : tuple of float
        Of red, green and blue, in 0 to 1. `std` is at least one grey level, 1 / 255, so that a
        blank channel can be standardised too. Sums are of whole numbers, so neither depends on the
        order of the regions.

    Raises
    ------
    StoreError
        If the magnification was not prepared, or a region is damaged.
    """
    return _mean_and_std(sum_colours(store, items, magnification, cache, on_read))


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
    >>> import numpy as np
    >>> mean, std = image_statistics([np.array([[0, 255, 51]], np.uint8)])
    >>> mean, round(255 * std[0])
    ((0.0, 1.0, 0.2), 1)
    """
    return _mean_and_std(reduce(add, map(ColourSums.of, images)))


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
    >>> import torch
    >>> standardise(torch.ones(3, 1, 1), (0.5, 0.5, 0.0), (0.5, 0.25, 0.5)).flatten().tolist()
    [1.0, 2.0, 2.0]
    """
    return (image - _column(image, mean)).div_(_column(image, std))


def _column(image: Tensor, values: Channels) -> Tensor:
    return image.new_tensor(values)[:, None, None]


def _mean_and_std(sums: ColourSums) -> tuple[Channels, Channels]:
    count = sums.count
    red, green, blue = (
        # the difference is of whole numbers: nothing cancels
        (total / count / 255, max(math.sqrt((count * squares - total**2) / count**2), 1.0) / 255)
        for total, squares in sums.moments()
    )
    return (red[0], green[0], blue[0]), (red[1], green[1], blue[1])
