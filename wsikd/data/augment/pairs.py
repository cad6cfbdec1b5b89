"""The random distortions of paired self-supervision, drawn by image and applied by batch.

Table S1 of the paper [1]_ names the kinds of change and how often each is made; for how large they
are, of which it is silent, the values of the published code stand. Each branch draws for itself,
also flips, crop and rotation, so paired views are of the same tissue but not aligned.

References
----------
.. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from wsikd.config import Settings
from wsikd.data.augment.colour import scale_colours, turn_hue
from wsikd.data.augment.warp import crop, on_device, rotate

_BLOCK_PX = 1 << 17  # on a CPU the passes over a block then stay in its cache
_UNIFORM_STD = 1 / math.sqrt(12)  # of the uniform distribution over 0 to 1

_Numbers = NDArray[np.float64]
_Flags = NDArray[np.bool_]


class DistortSettings(Settings):
    """How often and how strongly the images of a pair are varied.

    The first six are the probabilities of table S1. The noise is normal as the table says, with
    mean and spread of the uniform noise of the published code. That code gives the numbers for
    images of 0 to 1 to images of 0 to 255; here solarizing and brightness get what they mean, the
    latter as a factor, like contrast and saturation.
    """

    flips: float = Field(
        1.0, ge=0, le=1, description="how often flips are drawn, each way then half of the time"
    )
    crop: float = Field(1.0, ge=0, le=1, description="how often a part is cropped and enlarged")
    noise: float = Field(0.3, ge=0, le=1, description="how often the background becomes noise")
    rotation: float = Field(0.4, ge=0, le=1, description="how often the image is rotated")
    solarize: float = Field(0.3, ge=0, le=1, description="how often bright values are inverted")
    colour: float = Field(1.0, ge=0, le=1, description="how often the colours are jittered")
    crop_side: float = Field(
        0.75, gt=0, le=1, description="smallest part of the height, and of the width, in a crop"
    )
    noise_kind: Literal["gaussian", "uniform"] = Field(
        "gaussian", description="distribution of the noise, which replaces values of exactly 0"
    )
    rotation_degrees: float = Field(
        180.0, ge=0, le=360, description="largest angle, counter-clockwise; corners become black"
    )
    solarize_from: float = Field(
        0.01, ge=0, le=1, description="smallest threshold from which values are inverted, of 0 to 1"
    )
    solarize_to: float = Field(
        0.6, ge=0, le=1, description="largest threshold from which values are inverted, of 0 to 1"
    )
    brightness: float = Field(0.4, ge=0, le=1, description="factors of 1 - this to 1 + this")
    brightness_shift: float = Field(
        0.0, ge=0, le=1, description="largest value added or taken away, of 0 to 1"
    )
    contrast: float = Field(0.4, ge=0, le=1, description="factors of 1 - this to 1 + this")
    saturation: float = Field(0.4, ge=0, le=1, description="factors of 1 - this to 1 + this")
    hue: float = Field(0.1, ge=0, le=0.5, description="largest shift, in turns of the colour wheel")


def release_distortions() -> DistortSettings:
    """Return the distortions as the paper's published code makes them.

    Its thresholds lie below the first grey level, so solarizing inverts all that is not black, and
    brightness is shifted by less than half a level. Background noise is uniform.
    """
    return DistortSettings(
        noise_kind="uniform",
        solarize_from=0.01 / 255,
        solarize_to=0.6 / 255,
        brightness=0,
        brightness_shift=0.4 / 255,
    )


class Draws(NamedTuple):
    """What was drawn for each of B images; every member is an array of shape (B,).

    Attributes
    ----------
    flip_horizontal, flip_vertical : bool
        Mirror left-right, mirror up-down.
    crop_height, crop_width : float
        Parts of the sides that are kept; 1 keeps all.
    crop_top, crop_left : float
        Place of the crop in the room that it leaves, 0 to 1.
    noise_seed : int
        Of the noise in the background; -1 for none.
    angle : float
        Counter-clockwise rotation in radians; 0 for none.
    threshold : float
        Values from here are inverted; infinite for none.
    brightness, brightness_shift, contrast, saturation, hue : float
        Factor (1 for no change), addend (0), factor (1), factor (1), turns of the wheel (0).
    """

    flip_horizontal: _Flags
    flip_vertical: _Flags
    crop_height: _Numbers
    crop_width: _Numbers
    crop_top: _Numbers
    crop_left: _Numbers
    noise_seed: NDArray[np.int64]
    angle: _Numbers
    threshold: _Numbers
    brightness: _Numbers
    brightness_shift: _Numbers
    contrast: _Numbers
    saturation: _Numbers
    hue: _Numbers

    def of(self, images: slice | _Flags) -> "Draws":
        """Return the draws of some of the images."""
        return Draws._make(values[images] for values in self)


def draw_distortions(
    settings: DistortSettings, seed: int, epoch: int, indices: Sequence[int], branch: int
) -> Draws:
    """Draw the changes of some images in one epoch.

    Parameters
    ----------
    settings : DistortSettings
        Switching one kind of change off leaves the others as they were drawn.
    seed, epoch : int
        Of the run.
    indices : sequence of int
        Of the items. What is drawn for one does not depend on the others of its batch.
    branch : int
        0 for the primary branch, 1 for the privileged, and so on: views draw independently.

    Examples
    --------
    >>> alone = draw_distortions(DistortSettings(), 0, 3, [7], branch=1)
    >>> batch = draw_distortions(DistortSettings(), 0, 3, [2, 7], branch=1)
    >>> bool(batch.angle[1] == alone.angle[0])
    True
    """
    drawn = np.stack([_uniforms(seed, branch, index, epoch) for index in indices], axis=1)
    uniform = dict(zip(_UNIFORMS, drawn, strict=True))
    made = {kind: uniform[kind] < getattr(settings, kind) for kind in _KINDS}

    def between(kind: str, name: str, low: float, high: float, *, otherwise: float) -> _Numbers:
        return np.where(made[kind], low + (high - low) * uniform[name], otherwise)

    def jitter(name: str, middle: float) -> _Numbers:
        spread = getattr(settings, name)
        return between("colour", name, middle - spread, middle + spread, otherwise=middle)

    turn = math.radians(settings.rotation_degrees)
    limits = settings.solarize_from, settings.solarize_to
    return Draws(
        flip_horizontal=made["flips"] & (uniform["flip_horizontal"] < 0.5),
        flip_vertical=made["flips"] & (uniform["flip_vertical"] < 0.5),
        crop_height=between("crop", "crop_height", settings.crop_side, 1, otherwise=1),
        crop_width=between("crop", "crop_width", settings.crop_side, 1, otherwise=1),
        crop_top=uniform["crop_top"],
        crop_left=uniform["crop_left"],
        noise_seed=between("noise", "noise_seed", 0, 2**53, otherwise=-1).astype(np.int64),
        angle=between("rotation", "angle", 0, turn, otherwise=0),
        threshold=between("solarize", "threshold", *limits, otherwise=math.inf),
        **{name: jitter(name, middle) for name, middle in _NO_JITTER.items()},
    )


_KINDS = ("flips", "crop", "noise", "rotation", "solarize", "colour")
_NO_JITTER = {"brightness": 1, "brightness_shift": 0, "contrast": 1, "saturation": 1, "hue": 0}
_UNIFORMS = (*_KINDS, *Draws._fields)


def _uniforms(seed: int, branch: int, index: int, epoch: int) -> _Numbers:
    # the upper words of the counter choose the stream, the lowest counts along it
    random = np.random.Generator(np.random.Philox(key=seed, counter=[0, branch, index, epoch]))
    return random.random(len(_UNIFORMS))


def distort(images: Tensor, draws: Draws, settings: DistortSettings) -> Tensor:
    """Apply draws to a batch, in the published code's order.

    Flips, crop, background noise, rotation, solarizing, then brightness, contrast, saturation and
    hue, limited to 0 to 1 once at the end. Crops are enlarged bilinearly; rotations take the
    nearest pixel.

    Parameters
    ----------
    images : Tensor, shape (B, 3, height, width)
        RGB, float in 0 to 1, on any device; stays as it is.
    draws : Draws
        Of the same B images.
    settings : DistortSettings
        Those of the draws; they say of what kind the noise is.

    Returns
    -------
    Tensor, shape (B, 3, height, width)
        New images in 0 to 1. The noise of one seed differs between kinds of device.
    """
    assert len(draws.hue) == len(images)
    distorted = images.clone(memory_format=torch.contiguous_format)
    for block in _blocks(images):
        _distort(distorted[block], draws.of(block), settings)
    return distorted


def _blocks(images: Tensor) -> Iterator[slice]:
    height, width = images.shape[2:]
    small = max(1, _BLOCK_PX // (height * width))
    count = small if images.device.type == "cpu" else max(1, len(images))
    return (slice(start, start + count) for start in range(0, len(images), count))


def _distort(images: Tensor, draws: Draws, settings: DistortSettings) -> None:
    def add_noise(images: Tensor, draws: Draws) -> Tensor:
        return _add_noise(images, draws, settings.noise_kind)

    _change(images, draws, draws.flip_horizontal, lambda chosen, _: chosen.flip(3))
    _change(images, draws, draws.flip_vertical, lambda chosen, _: chosen.flip(2))
    _change(images, draws, (draws.crop_height < 1) | (draws.crop_width < 1), _crop)
    _change(images, draws, draws.noise_seed >= 0, add_noise)
    _change(images, draws, draws.angle != 0, _rotate)
    _change(images, draws, draws.threshold < math.inf, _solarize)
    _change(images, draws, _is_coloured(draws), _jitter)


def _change(
    images: Tensor, draws: Draws, which: _Flags, change: Callable[[Tensor, Draws], Tensor]
) -> None:
    if which.all():
        images.copy_(change(images, draws))
    elif which.any():
        rows = torch.from_numpy(np.flatnonzero(which)).to(images.device, non_blocking=True)
        images.index_copy_(0, rows, change(images.index_select(0, rows), draws.of(which)))


def _crop(images: Tensor, draws: Draws) -> Tensor:
    kept, place = (draws.crop_height, draws.crop_width), (draws.crop_top, draws.crop_left)
    return crop(images, kept, place)


def _rotate(images: Tensor, draws: Draws) -> Tensor:
    return rotate(images, draws.angle)


def _add_noise(images: Tensor, draws: Draws, kind: str) -> Tensor:
    for image, seed in zip(images, draws.noise_seed.tolist(), strict=True):
        background = image == 0
        # elsewhere the question would wait for all work under way
        if image.device.type == "cpu" and not background.any():
            continue
        generator = torch.Generator(image.device).manual_seed(seed)
        noise = torch.empty_like(image)
        if kind == "gaussian":
            noise.normal_(0.5, _UNIFORM_STD, generator=generator).clamp_(0, 1)
        else:
            noise.uniform_(generator=generator)
        image.copy_(torch.where(background, noise, image))
    return images


def _solarize(images: Tensor, draws: Draws) -> Tensor:
    threshold = on_device(draws.threshold[:, None, None, None], images)
    return torch.where(images >= threshold, 1 - images, images)


def _is_coloured(draws: Draws) -> _Flags:
    scaled = (draws.brightness != 1) | (draws.contrast != 1) | (draws.saturation != 1)
    coloured: _Flags = scaled | (draws.brightness_shift != 0) | (draws.hue != 0)
    return coloured


def _jitter(images: Tensor, draws: Draws) -> Tensor:
    amounts = {name: on_device(getattr(draws, name)[:, None], images) for name in _NO_JITTER}
    turns = amounts.pop("hue")
    pixels = images.flatten(2)  # (B, 3, height * width), the same memory
    scale_colours(pixels, **amounts)
    turn_hue(pixels, turns)
    pixels.clamp_(0, 1)
    return images
