"""Random changes of colour and orientation, drawn once and applied to every view of a region.

The colour jitter is that of torchvision's `ColorJitter`: four operations in random order, each
limited to 0 to 1. Flips and quarter turns make all eight orientations equally likely.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wsikd.config import Settings
from wsikd.data.augment.colour import GREY, grey_of, turn_hue

_BLOCK_PX = 1 << 18  # on a CPU the passes over a block then stay in its cache


class AugmentSettings(Settings):
    """How regions are varied in training.

    The ranges are those of the published code of resolution-based distillation; the quarter turns
    are the paper's rotations, of which no other leaves pixels as they are.
    """

    brightness: float = Field(0.5, ge=0, le=1, description="factors of 1 - this to 1 + this")
    contrast: float = Field(0.5, ge=0, le=1, description="factors of 1 - this to 1 + this")
    saturation: float = Field(0.5, ge=0, le=1, description="factors of 1 - this to 1 + this")
    hue: float = Field(0.2, ge=0, le=0.5, description="largest shift, in turns of the colour wheel")
    flips: bool = Field(True, description="mirror left-right and up-down, each half of the time")
    quarter_turns: bool = Field(True, description="turn by 0, 90, 180 or 270 degrees")


class AugmentationDraw(NamedTuple):
    """What was drawn for one item.

    Attributes
    ----------
    colour : tuple of (str, float)
        Operations in their order: "brightness", "contrast" and "saturation" with a factor, "hue"
        with a shift in turns of the colour wheel.
    flip_horizontal, flip_vertical : bool
        Mirror left-right, mirror up-down.
    quarter_turns : int
        Counter-clockwise, after the flips.
    """

    colour: tuple[tuple[str, float], ...] = ()
    flip_horizontal: bool = False
    flip_vertical: bool = False
    quarter_turns: int = 0


def draw_augmentation(
    settings: AugmentSettings, seed: int, epoch: int, index: int
) -> AugmentationDraw:
    """Draw the changes of one item in one epoch.

    A pure function of its arguments, so that a resumed run, another worker and another view of
    the same item all get the same draw.

    Parameters
    ----------
    settings : AugmentSettings
        Ranges. Switching one kind of change off leaves the others as they were drawn.
    seed, epoch, index : int
        Of the run, and of the item; none is negative.

    Examples
    --------
    >>> draw = draw_augmentation(AugmentSettings(), seed=0, epoch=3, index=7)
    >>> draw == draw_augmentation(AugmentSettings(), seed=0, epoch=3, index=7)
    True
    """
    # the upper words of the counter choose the stream, the lower ones count along it
    random = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, index, epoch]))
    ranges = {name: getattr(settings, name) for name in _OPERATIONS}
    shifts = dict(zip(ranges, random.uniform(-1, 1, len(ranges)).tolist(), strict=True))
    order = [str(name) for name in random.permutation(list(ranges))]
    horizontal, vertical, turns = random.integers([2, 2, 4]).tolist()
    return AugmentationDraw(
        colour=tuple(
            (name, ranges[name] * shifts[name] + (0 if name == "hue" else 1))
            for name in order
            if ranges[name] > 0
        ),
        flip_horizontal=settings.flips and horizontal == 1,
        flip_vertical=settings.flips and vertical == 1,
        quarter_turns=turns if settings.quarter_turns else 0,
    )


def augment(image: Tensor, draw: AugmentationDraw) -> Tensor:
    """Apply a draw to an image.

    Parameters
    ----------
    image : Tensor, shape (3, height, width)
        RGB, float in 0 to 1, on any device.
    draw : AugmentationDraw
        All views of one item take the same, at whatever magnification.

    Returns
    -------
    Tensor, shape (3, height, width), or (3, width, height) after an odd number of quarter turns
        A new image in 0 to 1.
    """
    return recolour(move(image, draw), draw)


def move(image: Tensor, draw: AugmentationDraw) -> Tensor:
    """Flip and turn an image of shape (3, height, width), of any kind of number; a copy."""
    flips = [1] * draw.flip_vertical + [2] * draw.flip_horizontal
    flipped = image.flip(flips) if flips else image.clone()
    return flipped.rot90(draw.quarter_turns, (1, 2)).contiguous()


def recolour(image: Tensor, draw: AugmentationDraw) -> Tensor:
    """Change the colours of a contiguous image in 0 to 1, in place, and return it."""
    pixels = image.flatten(1)  # (3, height * width), the same memory
    for name, amount in draw.colour:
        _OPERATIONS[name](pixels, amount)
    return image


def _scale_brightness(pixels: Tensor, factor: float) -> None:
    pixels.mul_(factor).clamp_(0, 1)


def _scale_contrast(pixels: Tensor, factor: float) -> None:
    mean = pixels.new_tensor(GREY) @ pixels.mean(1)  # the mean of the grey image
    for block in _blocks(pixels):
        block.mul_(factor).add_(mean * (1 - factor)).clamp_(0, 1)


def _scale_saturation(pixels: Tensor, factor: float) -> None:
    for block in _blocks(pixels):
        grey = grey_of(block).mul_(1 - factor)
        block.mul_(factor).add_(grey).clamp_(0, 1)


def _shift_hue(pixels: Tensor, turns: float) -> None:
    for block in _blocks(pixels):
        turn_hue(block, turns)


def _blocks(pixels: Tensor) -> tuple[Tensor, ...]:
    return torch.split(pixels, _BLOCK_PX, dim=1) if pixels.device.type == "cpu" else (pixels,)


_OPERATIONS: dict[str, Callable[[Tensor, float], None]] = {
    "brightness": _scale_brightness,
    "contrast": _scale_contrast,
    "saturation": _scale_saturation,
    "hue": _shift_hue,
}
