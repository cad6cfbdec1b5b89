"""The stem of a residual network, in bands of rows: its large maps never exist as a whole.

A band of the pooled map depends on the image nearby, and on the mean and the variance of each group
over the whole convolved image. So the bands are gone through twice: first for these, then for the
pooled map. The backward pass does the same in turn: first the gradients with mean and variance held
fixed, and those of mean and variance, which all bands add to; then what flows on through these.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsikd.models.groupnorm import GroupNorm
from wsikd.models.inside import ceil_divide

BAND = 2**20
"""Pixels of the images in a band, about."""


class _Band(NamedTuple):
    """Rows of the pooled map, and those of the convolved image that no other band has."""

    pooled: slice
    convolved: slice


class _Stem(NamedTuple):
    """What a band is computed with; mean and variance, of shape (B, groups), are of all bands."""

    kernel: Tensor
    weight: Tensor
    bias: Tensor
    mean: Tensor
    variance: Tensor


def pooled_stem(pixels: Tensor, kernel: Tensor, norm: GroupNorm) -> Tensor:
    """Convolve, normalise, cut negatives off and pool images, band by band.

    Parameters
    ----------
    pixels : Tensor, shape (B, 3, H, W)
        Images that fill the tensor. No gradient flows to them.
    kernel : Tensor, shape (C, 3, 7, 7)
        Of a convolution of stride 2, padded by 3.
    norm : GroupNorm
        Of C channels.

    Returns
    -------
    Tensor, shape (B, C, H / 4, W / 4)
        Rounded up; pooled over 3 x 3 places with stride 2.
    """
    return _PooledStem.apply(pixels, kernel, norm.weight, norm.bias, norm.num_groups, norm.eps)  # type: ignore[no-any-return,no-untyped-call]  # PyTorch's


class _PooledStem(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917  # the context is PyTorch's
        ctx: Any,
        pixels: Tensor,
        kernel: Tensor,
        weight: Tensor,
        bias: Tensor,
        groups: int,
        eps: float,
    ) -> Tensor:
        mean, variance = _statistics(pixels, kernel, groups)
        stem = _Stem(kernel, weight, bias, mean, variance)
        bands = [_pool_band(pixels, stem, band.pooled, eps) for band in _bands(pixels)]
        ctx.save_for_backward(pixels, *stem)
        ctx.eps = eps
        return torch.cat(bands, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        assert not ctx.needs_input_grad[0], "no gradient flows to the images"
        pixels, *tensors = ctx.saved_tensors
        stem = _Stem(*(tensor.detach().requires_grad_() for tensor in tensors))
        sums = [torch.zeros_like(tensor) for tensor in stem]
        for band in _bands(pixels):
            with torch.enable_grad():
                pooled = _pool_band(pixels, stem, band.pooled, ctx.eps)
            found = torch.autograd.grad(pooled, stem, gradient[:, :, band.pooled])
            for total, one in zip(sums, found, strict=True):
                total.add_(one)
        kernel, weight, bias, *statistics = sums
        kernel.add_(_through_statistics(pixels, stem, *statistics))
        return None, kernel, weight, bias, None, None


def _bands(pixels: Tensor) -> Iterator[_Band]:
    count, _, height, width = pixels.shape
    convolved = ceil_divide(height, 2)
    pooled = ceil_divide(convolved, 2)
    rows = max(1, BAND // (4 * width * count))  # of 4 rows of pixels each
    for first in range(0, pooled, rows):
        last = min(first + rows, pooled)
        yield _Band(slice(first, last), slice(2 * first, min(2 * last, convolved)))


def _convolve(pixels: Tensor, kernel: Tensor, rows: slice) -> Tensor:
    """Return rows of the convolved images, shape (B, C, rows, W / 2)."""
    first, last = 2 * rows.start - 3, 2 * rows.stop + 2  # in the images, with what is padded
    height = pixels.shape[2]
    read = pixels[:, :, max(first, 0) : min(last, height)]
    padded = F.pad(read, (3, 3, max(-first, 0), max(last - height, 0)))
    # both in the precision of the images, and on in that of the weights; see `Convolution`
    rounded = kernel.to(padded.dtype)
    if padded.device.type == "cpu":
        padded, rounded = padded.to(kernel.dtype), rounded.to(kernel.dtype)
    return F.conv2d(padded, rounded, stride=2).to(kernel.dtype)


def _statistics(pixels: Tensor, kernel: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each group of the convolved images, each (B, groups)."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())  # of each channel
    for band in _bands(pixels):
        convolved = _convolve(pixels, kernel, band.convolved)
        variance, its_mean = torch.var_mean(convolved, (2, 3), correction=0)
        its_count = convolved.shape[2] * convolved.shape[3]
        if not count:
            count, mean, squares = its_count, its_mean, variance * its_count
            continue
        total, apart = count + its_count, its_mean - mean  # Chan, Golub, LeVeque 1979
        squares = squares + variance * its_count + apart**2 * (count * its_count / total)
        mean, count = mean + apart * (its_count / total), total
    by_group = mean.view(len(mean), groups, -1)
    group_mean = by_group.mean(2)
    within = (squares / count).view_as(by_group)
    return group_mean, (within + (by_group - group_mean[:, :, None]) ** 2).mean(2)


def _pool_band(pixels: Tensor, stem: _Stem, rows: slice, eps: float) -> Tensor:
    """Return rows of the pooled map, each over the convolved rows 2 i - 1 to 2 i + 1."""
    height = ceil_divide(pixels.shape[2], 2)
    first, last = 2 * rows.start - 1, 2 * rows.stop
    convolved = _convolve(pixels, stem.kernel, slice(max(first, 0), min(last, height)))
    scale = _by_channel((stem.variance + eps).rsqrt(), stem.weight) * stem.weight[:, None, None]
    centred = convolved - _by_channel(stem.mean, stem.weight)
    image = F.relu_(torch.addcmul(stem.bias[:, None, None], centred, scale))
    # a row of zeros is as good as none: nothing is below
    padded = F.pad(image, (0, 0, max(-first, 0), max(last - height, 0)))
    return F.max_pool2d(padded, 3, stride=2, padding=(0, 1)).to(pixels.dtype)


def _through_statistics(
    pixels: Tensor, stem: _Stem, to_mean: Tensor, to_variance: Tensor
) -> Tensor:
    """Return the kernel's gradient through mean and variance, from the gradients of these."""
    height, width = (ceil_divide(side, 2) for side in pixels.shape[2:])
    values = len(stem.weight) // stem.mean.shape[1] * height * width  # of a group
    mean = _by_channel(stem.mean, stem.weight)
    constant = _by_channel(to_mean / values, stem.weight)
    slope = _by_channel(2 * to_variance / values, stem.weight)
    total = torch.zeros_like(stem.kernel)
    for band in _bands(pixels):
        with torch.enable_grad():
            convolved = _convolve(pixels, stem.kernel, band.convolved)
        gradient = (convolved.detach() - mean.detach()).mul_(slope).add_(constant)
        total.add_(*torch.autograd.grad(convolved, stem.kernel, gradient))
    return total


def _by_channel(values: Tensor, channels: Tensor) -> Tensor:
    """From a value of each group, (B, groups), to one of each channel, (B, C, 1, 1)."""
    repeats = len(channels) // values.shape[1]
    return values.repeat_interleave(repeats, 1)[:, :, None, None]
