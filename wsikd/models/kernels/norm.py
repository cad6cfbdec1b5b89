"""Group normalisation, residual, ReLU and mask as one operation of PyTorch, computed in Triton.

To PyTorch it is opaque: `torch.compile` and checkpointing see one operation with a derivative. What
is kept for the backward pass is x, and the result only where a residual was added, as the ReLU's
mask is computed again from x elsewhere.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

from wsikd.models.inside import ceil_divide
from wsikd.models.kernels import norm_kernels

_BLOCK = 4096  # values that a program handles at a time
_MOST_CHANNELS = 128
_PROGRAMS = 2048  # wanted at least, where there is as much to do
_MOST_ROUNDS = 16
_TILES_AT_ONCE = 64
_HOW = {"num_warps": 4, "enable_fp_fusion": False}  # memory is what takes time


Given = ParamSpec("Given")
Made = TypeVar("Made")


def _on_its_device(
    function: Callable[Concatenate[Tensor, Given], Made],
) -> Callable[Concatenate[Tensor, Given], Made]:
    """Launch kernels on the GPU of the first tensor, which need not be the current one."""

    @wraps(function)
    def launch(first: Tensor, *args: Given.args, **kwargs: Given.kwargs) -> Made:
        with torch.cuda.device_of(first):  # type: ignore[no-untyped-call]  # PyTorch's
            return function(first, *args, **kwargs)

    return launch  # type: ignore[return-value]  # its first argument is named


@torch.library.custom_op("wsikd::group_norm_act", mutates_args=())
@_on_its_device
def group_norm_act(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    groups: int,
    eps: float,
    residual: Tensor | None,
    relu: bool,
    sizes: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Normalise each group of channels of each image, add the residual and cut negatives off.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
        float32 or bfloat16, channels last.
    weight, bias : Tensor, shape (C,)
        float32.
    groups : int
        A divisor of C.
    eps : float
        Added to the variance.
    residual : Tensor, optional
        Like x.
    relu : bool
        Whether negatives are cut off.
    sizes : Tensor of int32, shape (N, 2), optional
        Height and width of each image within the tensor; beyond them nothing is read, and 0 is
        written. All fill it without.

    Returns
    -------
    tuple of Tensor
        The result, like x, and mean and 1 / standard deviation of the groups, float32 of shape
        (2, N, groups).
    """
    _refuse_precision(x)
    work = _Work.of(x, groups)
    x, residual = _dense(x), None if residual is None else _dense(residual)
    y = torch.empty_like(x, memory_format=torch.channels_last)
    means, squares = x.new_empty((2, work.images, work.tiles, work.channels), dtype=torch.float32)
    statistics = x.new_empty((2, work.images, groups), dtype=torch.float32)
    mean, scale = statistics
    masked = sizes is not None
    limits = x if sizes is None else sizes  # something to point at
    norm_kernels.measure_tiles[work.grid](
        x, means, squares, limits, x.stride(0), work.places, work.width, work.channels,
        work.tile_places, MASKED=masked, **work.blocks,
    )  # fmt: skip
    norm_kernels.merge_statistics[groups, work.images](
        means, squares, mean, scale, limits, work.places, work.width, work.channels,
        work.tile_places, work.tiles, eps, MASKED=masked, **work.merging,
    )  # fmt: skip
    norm_kernels.apply_norm[work.grid](
        x, x if residual is None else residual, y, weight, bias, mean, scale, limits,
        x.stride(0), x.stride(0) if residual is None else residual.stride(0), y.stride(0),
        work.places, work.width, work.channels, work.tile_places, groups, D=work.depth,
        ADDS=residual is not None, RELU=relu, MASKED=masked, **work.blocks,
    )  # fmt: skip
    return y, statistics


@group_norm_act.register_fake
def _(
    x: Tensor,
    _weight: Tensor,
    _bias: Tensor,
    groups: int,
    _eps: float,
    _residual: Tensor | None,
    _relu: bool,
    _sizes: Tensor | None,
) -> tuple[Tensor, Tensor]:
    statistics = x.new_empty((2, len(x), groups), dtype=torch.float32)
    return torch.empty_like(x, memory_format=torch.channels_last), statistics


@torch.library.custom_op("wsikd::group_norm_act_backward", mutates_args=())
@_on_its_device
def _differentiate(
    gradient: Tensor,
    x: Tensor,
    y: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    statistics: Tensor,
    groups: int,
    relu: bool,
    sizes: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight, bias and the residual; y says that there was one."""
    work = _Work.of(x, groups)
    gradient, x = _dense(gradient), _dense(x)
    adds, masked = y is not None, sizes is not None
    result, (mean, scale) = x if y is None else y, statistics
    limits = x if sizes is None else sizes
    along, across = x.new_empty((2, work.images, work.tiles, work.channels), dtype=torch.float32)
    to_bias, to_weight = x.new_empty((2, work.images, work.channels), dtype=torch.float32)
    along_mean, across_mean = x.new_empty((2, work.images, groups), dtype=torch.float32)
    strides = (gradient.stride(0), x.stride(0), result.stride(0))
    extents = (work.places, work.width, work.channels, work.tile_places, groups)
    kinds = {"D": work.depth, "ADDS": adds, "RELU": relu, "MASKED": masked}
    norm_kernels.sum_gradients[work.grid](
        gradient, x, result, weight, bias, mean, scale, along, across, limits,
        *strides, *extents, **kinds, **work.blocks,
    )  # fmt: skip
    norm_kernels.merge_gradients[groups, work.images](
        along, across, weight, to_bias, to_weight, along_mean, across_mean, limits,
        work.places, work.width, work.channels, work.tiles, MASKED=masked, **work.merging,
    )  # fmt: skip
    to_x = torch.empty_like(x, memory_format=torch.channels_last)
    to_residual = torch.empty_like(to_x) if adds else x.new_empty(0)
    norm_kernels.apply_gradients[work.grid](
        gradient, x, result, weight, bias, mean, scale, along_mean, across_mean, to_x,
        to_residual if adds else to_x, limits, *strides, to_x.stride(0), to_x.stride(0),
        *extents, **kinds, **work.blocks,
    )  # fmt: skip
    return to_x, to_weight.sum(0), to_bias.sum(0), to_residual


@_differentiate.register_fake
def _(
    _gradient: Tensor,
    x: Tensor,
    y: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    *_others: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    to_x = torch.empty_like(x, memory_format=torch.channels_last)
    to_residual = x.new_empty(0) if y is None else torch.empty_like(to_x)
    return to_x, weight.new_empty(weight.shape), bias.new_empty(bias.shape), to_residual


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, bias, groups, _, residual, relu, sizes = inputs
    y, statistics = output
    ctx.mark_non_differentiable(statistics)
    ctx.adds, ctx.groups, ctx.relu = residual is not None, groups, relu
    ctx.save_for_backward(x, y if ctx.adds and relu else None, weight, bias, statistics, sizes)


def _backward(ctx: Any, gradient: Tensor, *_others: Any) -> tuple[Tensor | None, ...]:
    x, y, weight, bias, statistics, sizes = ctx.saved_tensors
    # without a ReLU a residual's gradient is that of the result
    told = y if y is not None or not ctx.adds else x
    to_x, to_weight, to_bias, to_residual = _differentiate(
        gradient, x, told, weight, bias, statistics, ctx.groups, ctx.relu, sizes
    )
    return to_x, to_weight, to_bias, None, None, to_residual if ctx.adds else None, None, None


group_norm_act.register_autograd(_backward, setup_context=_keep)


class _Work(NamedTuple):
    """How images are parted between programs."""

    images: int
    channels: int
    width: int
    places: int
    depth: int
    tiles: int
    tile_places: int
    block_places: int
    block_channels: int

    @classmethod
    def of(cls, x: Tensor, groups: int) -> "_Work":
        images, channels, height, width = x.shape
        places = height * width
        block_channels = min(_power_of_2(channels), _MOST_CHANNELS)
        block_places = min(_BLOCK // block_channels, _power_of_2(places))
        programs = images * ceil_divide(channels, block_channels)
        rounds = places * programs // (block_places * _PROGRAMS)
        tile_places = block_places * min(max(rounds, 1), _MOST_ROUNDS)
        tiles = ceil_divide(places, tile_places)
        return cls(images, channels, width, places, channels // groups, tiles, tile_places,
                   block_places, block_channels)  # fmt: skip

    @property
    def grid(self) -> tuple[int, int, int]:
        """Programs by tile, block of channels and image."""
        return self.tiles, ceil_divide(self.channels, self.block_channels), self.images

    @property
    def blocks(self) -> dict[str, int]:
        """What kernels that go through all places are compiled for."""
        return {
            "BLOCK_P": self.block_places,
            "BLOCK_C": self.block_channels,
            **_HOW,
        }

    @property
    def merging(self) -> dict[str, int]:
        """What kernels that go through tiles are compiled for."""
        return {
            "D": self.depth,
            "BLOCK_T": min(_TILES_AT_ONCE, _power_of_2(self.tiles)),
            "BLOCK_D": _power_of_2(self.depth),
            **_HOW,
        }


def _refuse_precision(x: Tensor) -> None:
    if x.dtype not in {torch.float32, torch.bfloat16}:
        raise TypeError(f"images must be float32 or bfloat16, got {x.dtype}")


def _power_of_2(count: int) -> int:
    """Return the smallest that is no less."""
    return 1 << (count - 1).bit_length()


def _dense(image: Tensor) -> Tensor:
    """Return a tensor whose images each lie channels last without gaps, itself if it is one."""
    _, channels, _, width = image.shape
    if image.stride()[1:] == (1, width * channels, channels):
        return image
    return image.contiguous(memory_format=torch.channels_last)
