"""Crops and rotations of a batch of images, each image by amounts of its own."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_Numbers = NDArray[np.float64]


def crop(
    images: Tensor, kept: tuple[_Numbers, _Numbers], place: tuple[_Numbers, _Numbers]
) -> Tensor:
    """Enlarge a part of each image to the whole, bilinearly.

    Parameters
    ----------
    images : Tensor of float, shape (B, C, height, width)
        On any device.
    kept : pair of ndarray, shape (B,)
        Parts of the height and of the width, above 0 to 1; brought to whole pixels, at least one.
    place : pair of ndarray, shape (B,)
        Where the part lies in the room above it and left of it, 0 to below 1.

    Returns
    -------
    Tensor, shape (B, C, height, width)
        As if the part were cut out, then interpolated; nothing around it shows.
    """
    rows = _places(images.shape[2], kept[0], place[0])  # (B, height)
    columns = _places(images.shape[3], kept[1], place[1])  # (B, width)
    return _sample(
        images,
        on_device(columns[:, None, :], images),
        on_device(rows[:, :, None], images),
        "bilinear",
    )


def rotate(images: Tensor, angles: _Numbers) -> Tensor:
    """Rotate each image counter-clockwise about its middle.

    Parameters
    ----------
    images : Tensor of float, shape (B, C, height, width)
        On any device.
    angles : ndarray, shape (B,)
        In radians.

    Returns
    -------
    Tensor, shape (B, C, height, width)
        The nearest pixels; 0 where the image does not reach.
    """
    cosine = on_device(np.cos(angles)[:, None, None], images)
    sine = on_device(np.sin(angles)[:, None, None], images)
    down, right = (
        torch.arange(side, device=images.device, dtype=images.dtype) - (side - 1) / 2
        for side in images.shape[2:]
    )
    columns = cosine * right - sine * down[:, None]  # (B, height, width), from the middle
    rows = sine * right + cosine * down[:, None]
    height, width = images.shape[2:]
    return _sample(images, columns + (width - 1) / 2, rows + (height - 1) / 2, "nearest")


def on_device(values: _Numbers, images: Tensor) -> Tensor:
    """Bring values to the type and device of the images, without waiting for work under way."""
    return torch.from_numpy(values).to(images.dtype).to(images.device, non_blocking=True)


def _places(side: int, kept: _Numbers, place: _Numbers) -> _Numbers:
    """Compute where the pixels of the enlarged part lie along a side, shape (B, side)."""
    length = np.maximum(np.rint(kept * side), 1)[:, None]
    first = np.floor(place[:, None] * (side - length + 1))
    middles = (np.arange(side) + 0.5) / side  # of the pixels of the result
    places: _Numbers = first + np.clip(length * middles - 0.5, 0, length - 1)
    return places


def _sample(images: Tensor, columns: Tensor, rows: Tensor, mode: str) -> Tensor:
    """Read the images at these places, in pixels from the middle of the first; 0 outside."""
    batch, _, height, width = images.shape
    grid = images.new_empty(batch, height, width, 2)
    # grid_sample wants the image's edges, half a pixel out, at -1 and 1
    grid[..., 0] = columns.add(0.5).mul_(2 / width).sub_(1)
    grid[..., 1] = rows.add(0.5).mul_(2 / height).sub_(1)
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)
