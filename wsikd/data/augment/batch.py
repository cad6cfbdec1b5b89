"""Images of unequal sizes varied and standardised together, for devices where a launch costs.

What is done to an image is what `augment` does. That is some fifty small operations an image, and
on a GPU each of them is a launch of about 5 µs, whatever the image's size. Here all images of a
batch share one sequence of operations, whose length does not depend on how many there are.

Brightness, contrast and saturation are one operation: values times a factor, plus a grey that is
nothing, the image's mean or the pixel's own. So the order drawn for an image is kept by
taking as many such steps before the only turn of the hue, and after it, as any image needs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsikd.data.augment.colour import grey_of, turn_hue
from wsikd.data.augment.regions import AugmentationDraw, move, recolour
from wsikd.data.statistics import Channels, standardise
from wsikd.geometry import Size
from wsikd.models.images import Images

_FEW_PX = 1 << 21
"""Mean size up to which launches outweigh the passes over unused steps and padding: an estimate
from 50 launches of 5 µs and 500 bytes a pixel at 4 TB/s."""

_AS_IT_IS = AugmentationDraw()
_Colours = tuple[tuple[str, float], ...]


def see_images(
    images: Sequence[Tensor],
    draws: Sequence[AugmentationDraw | None],
    mean: Channels,
    std: Channels,
    layout: torch.memory_format,
) -> Images:
    """Vary, standardise and pad images, in the way that is faster on their device.

    On a CPU one image after the other is, as its passes then stay in the cache.

    Parameters
    ----------
    images : sequence of Tensor of uint8, shape (3, h, w)
        RGB, all on one device, at least one.
    draws : sequence of AugmentationDraw or None
        Of each image; None leaves it as it is.
    mean, std : tuple of float
        To standardise by.
    layout : torch.memory_format
        Of the result.

    Returns
    -------
    Images
        Zero beyond each one's own size.
    """
    pixels = sum(image.shape[1] * image.shape[2] for image in images)
    is_far = images[0].device.type != "cpu"
    if is_far and len(images) > 1 and pixels <= _FEW_PX * len(images):
        return standardise_batch(augment_batch(images, draws), mean, std, layout)
    seen = [_see(image, draw, mean, std) for image, draw in zip(images, draws, strict=True)]
    return Images.pad(seen, layout)


def _see(image: Tensor, draw: AugmentationDraw | None, mean: Channels, std: Channels) -> Tensor:
    """Vary and standardise one image; what is made in between is gone when it returns."""
    drawn = draw or _AS_IT_IS
    moved = image if draw is None else move(image, draw)  # bytes move four times as fast as floats
    return standardise(recolour(moved.float().div_(255), drawn), mean, std)


def augment_batch(images: Sequence[Tensor], draws: Sequence[AugmentationDraw | None]) -> Images:
    """Apply its draw to each image of a batch, by operations on all of them at once.

    Parameters
    ----------
    images : sequence of Tensor, shape (3, h, w)
        RGB, all of uint8, or all of float in 0 to 1; on one device. They stay as they are.
    draws : sequence of AugmentationDraw or None
        Of each image, the hue at most once in it; None leaves the image as it is.

    Returns
    -------
    Images
        Not standardised: float in 0 to 1, equal to what `augment` makes of each image alone but
        for rounding. Beyond an image's own size the values mean nothing.
    """
    drawn = [draw or _AS_IT_IS for draw in draws]
    sizes = [
        _turned(Size(image.shape[2], image.shape[1]), draw)
        for image, draw in zip(images, drawn, strict=True)
    ]
    inside = _inside(sizes, images[0].device)
    pixels = _gather(images, drawn, inside)
    before, turns, after = _parted([draw.colour for draw in drawn])
    _scale(pixels, before, inside)
    _turn(pixels, turns)
    _scale(pixels, after, inside)
    return Images(pixels, None if len(set(sizes)) == 1 else tuple(sizes))


def standardise_batch(
    varied: Images, mean: Channels, std: Channels, layout: torch.memory_format
) -> Images:
    """Standardise what `augment_batch` returned, with zeros beyond each image's own size."""
    pixels = standardise(varied.pixels, mean, std)
    if varied.sizes is not None:
        pixels.mul_(_inside(varied.sizes, pixels.device)[:, None])
    return Images(pixels.contiguous(memory_format=layout), varied.sizes)


def _turned(size: Size, draw: AugmentationDraw) -> Size:
    return Size(size.height, size.width) if draw.quarter_turns % 2 else size


def _gather(images: Sequence[Tensor], draws: Sequence[AugmentationDraw], inside: Tensor) -> Tensor:
    """Flip, turn and put together: read every pixel of the result where it comes from.

    Beyond an image's own size its first pixel is read.
    """
    flat = torch.cat([image.flatten() for image in images])
    areas = np.array([image.shape[1] * image.shape[2] for image in images])
    offsets = np.cumsum(3 * areas) - 3 * areas
    walks = np.array(
        [_walk(image.shape[1:], draw) for image, draw in zip(images, draws, strict=True)]
    )
    walks[:, 0] += offsets
    numbers = _on_device(np.stack([*walks.T, areas, offsets]), flat.device)
    start, down, right, area, first = numbers[..., None, None]  # each (B, 1, 1)
    rows, columns = _grid(inside.shape[1], inside.shape[2], flat.device)
    places = start + down * rows + right * columns  # (B, height, width), of red
    places = torch.where(inside, places, first)
    channels = [flat[places], flat[places.add_(area)], flat[places.add_(area)]]
    pixels = torch.stack(channels, 1)
    return pixels if pixels.is_floating_point() else pixels.float().div_(255)


def _walk(shape: Sequence[int], draw: AugmentationDraw) -> tuple[int, int, int]:
    """Return where in an image the result begins, and the steps to its next row and column.

    All in pixels of the flattened channel.
    """
    height, width = shape
    # row and column as (start, change with the result's row, change with its column)
    row, column = {
        0: ((0, 1, 0), (0, 0, 1)),
        1: ((0, 0, 1), (width - 1, -1, 0)),
        2: ((height - 1, -1, 0), (width - 1, 0, -1)),
        3: ((height - 1, 0, -1), (0, 1, 0)),
    }[draw.quarter_turns % 4]
    if draw.flip_vertical:
        row = (height - 1 - row[0], -row[1], -row[2])
    if draw.flip_horizontal:
        column = (width - 1 - column[0], -column[1], -column[2])
    start, down, right = (
        width * of_row + of_column for of_row, of_column in zip(row, column, strict=True)
    )
    return start, down, right


def _parted(
    colours: Sequence[_Colours],
) -> tuple[list[_Colours], list[float | None], list[_Colours]]:
    """Part the operations of each image into those before the hue, its turns, and those after."""
    before, turns, after = [], [], []
    for operations in colours:
        names = [name for name, _ in operations]
        assert names.count("hue") <= 1, operations
        hue = names.index("hue") if "hue" in names else len(names)
        before.append(operations[:hue])
        turns.append(operations[hue][1] if hue < len(names) else None)
        after.append(operations[hue + 1 :])
    return before, turns, after


def _scale(pixels: Tensor, colours: Sequence[_Colours], inside: Tensor) -> None:
    """Take the steps of each image, in place, each limited to 0 to 1."""
    count = max(len(operations) for operations in colours)
    if not count:
        return
    amounts = np.zeros((count, 3, len(colours)))
    amounts[:, 0] = 1  # an image with fewer steps rests in the last ones
    for image, operations in enumerate(colours):
        for step, (name, factor) in enumerate(operations):
            amounts[step, 0, image] = factor
            if name != "brightness":
                amounts[step, 1 + (name == "saturation"), image] = 1 - factor
    sizes = inside.sum((1, 2), keepdim=True)
    on_device = _on_device(amounts, pixels.device).to(pixels.dtype)[..., None, None]
    for step, (factor, of_mean, of_own) in enumerate(on_device):  # each (B, 1, 1)
        if not amounts[step, 1:].any():
            pixels.mul_(factor[:, None]).clamp_(0, 1)
            continue
        grey = grey_of(pixels.flatten(2)).view_as(pixels[:, 0])
        mean = (grey * inside).sum((1, 2), keepdim=True) / sizes
        grey.mul_(of_own).add_(of_mean * mean)
        pixels.mul_(factor[:, None]).add_(grey[:, None]).clamp_(0, 1)


def _turn(pixels: Tensor, turns: Sequence[float | None]) -> None:
    """Turn the hue of the images that have turns, in place."""
    chosen = [place for place, amount in enumerate(turns) if amount is not None]
    if not chosen:
        return
    amounts = np.array([[turns[place]] for place in chosen], np.float64)
    on_device = _on_device(amounts, pixels.device).to(pixels.dtype)
    if len(chosen) == len(turns):
        turn_hue(pixels.flatten(2), on_device)
        return
    rows = _on_device(np.array(chosen), pixels.device)
    some = pixels.index_select(0, rows)
    turn_hue(some.flatten(2), on_device)
    pixels.index_copy_(0, rows, some)


def _inside(sizes: Sequence[Size], device: torch.device) -> Tensor:
    """Tell which pixels are within their image, as bool of shape (B, height, width)."""
    extents = np.array([(size.height, size.width) for size in sizes])
    height, width = extents.max(0).tolist()
    heights, widths = _on_device(extents.T.copy(), device)[..., None, None]
    rows, columns = _grid(height, width, device)
    inside: Tensor = (rows < heights) & (columns < widths)
    return inside


def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the numbers of the rows, shape (height, 1), and of the columns, shape (width,)."""
    return torch.arange(height, device=device)[:, None], torch.arange(width, device=device)


def _on_device(values: NDArray[np.float64] | NDArray[np.int64], device: torch.device) -> Tensor:
    """Bring values to a device without waiting for work under way."""
    return torch.from_numpy(values).to(device, non_blocking=True)
