"""Group normalisation that also takes a single pixel, and images of unequal sizes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wsikd.models.inside import Inside

GROUPS = 32


class GroupNorm(nn.GroupNorm):
    """Group normalisation with 32 groups, for images of any size from 1 x 1 pixel.

    Parameters
    ----------
    channels : int
        A multiple of 32. With 32 of them every channel is normalised alone.

    Attributes
    ----------
    fused : bool
        Whether one kernel of `wsikd.models.kernels` does all of it, which is for GPUs.

    Notes
    -----
    `torch.nn.GroupNorm` refuses a group of one value, which the first layers meet on images up to
    4 x 4 pixels. The formula is defined there: the value less its mean is 0, so the bias remains.
    """

    fused = False

    def __init__(self, channels: int) -> None:
        super().__init__(GROUPS, channels)

    def forward(
        self,
        image: Tensor,
        inside: Inside | None = None,
        *,
        relu: bool = False,
        residual: Tensor | None = None,
    ) -> Tensor:
        """Normalise an image of shape (B, C, H, W), add the residual, and cut negatives off.

        Of images of unequal sizes, only what lies inside is read, and the rest becomes 0.
        """
        if self.fused:
            from wsikd.models.kernels.norm import group_norm_act  # noqa: PLC0415  needs Triton

            sizes = None if inside is None else inside.sizes
            return group_norm_act(  # type: ignore[no-any-return]  # an operation returns Any
                image, self.weight, self.bias, self.num_groups, self.eps, residual, relu, sizes
            )[0]
        normalised = group_norm(
            image.to(self.weight.dtype), self.weight, self.bias, groups=self.num_groups,
            eps=self.eps, inside=inside,
        )  # fmt: skip
        return finish(normalised, relu=relu, residual=residual).to(image.dtype)


def finish(normalised: Tensor, *, relu: bool, residual: Tensor | None) -> Tensor:
    """Add a residual to what a norm returned and cut negatives off, in place.

    No backward pass needs what is overwritten.
    """
    if residual is not None:
        normalised = normalised.add_(residual)
    return F.relu_(normalised) if relu else normalised


def group_norm(
    image: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    groups: int,
    eps: float,
    inside: Inside | None = None,
) -> Tensor:
    """Normalise each group of channels of each image by its own mean and variance.

    Parameters
    ----------
    image : Tensor, shape (B, C, H, W)
        What lies outside may be anything finite.
    weight, bias : Tensor, shape (C,)
        Of the result.
    groups : int
        A divisor of C.
    eps : float
        Added to the variance.
    inside : Inside, optional
        Where mean and variance are taken; the result is 0 elsewhere. Everywhere without.

    Returns
    -------
    Tensor, shape (B, C, H, W)
    """
    if inside is None:
        return torch.group_norm(image, groups, weight, bias, eps)
    return _MaskedGroupNorm.apply(image, weight, bias, groups, eps, inside)  # type: ignore[no-any-return,no-untyped-call]  # PyTorch's


class _MaskedGroupNorm(torch.autograd.Function):
    """Keeps the image for the backward pass and nothing of its size besides, as PyTorch's own."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917  # the context is PyTorch's
        ctx: Any,
        image: Tensor,
        weight: Tensor,
        bias: Tensor,
        groups: int,
        eps: float,
        inside: Inside,
    ) -> Tensor:
        mean = _group_means((image * inside.mask).sum((2, 3)), groups, inside)
        centred = (image - mean).mul_(inside.mask)
        squares = torch.linalg.vector_norm(centred, dim=(2, 3)).square_()
        scale = (_group_means(squares, groups, inside) + eps).rsqrt()
        ctx.save_for_backward(image, weight, mean, scale)
        ctx.groups, ctx.inside = groups, inside
        return centred.mul_(scale * _by_channel(weight)).add_(_by_channel(bias)).mul_(inside.mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, mean, scale = ctx.saved_tensors
        mask = ctx.inside.mask
        gradient = gradient * mask  # a convolution's reaches beyond what lies inside
        normal = (image - mean).mul_(scale)
        to_bias = gradient.sum((2, 3))  # (B, C)
        to_weight = (gradient * normal).sum((2, 3))
        # what the means of the group, and of its products, take part in
        along_mean = _group_means(to_bias * weight, ctx.groups, ctx.inside)
        along_normal = _group_means(to_weight * weight, ctx.groups, ctx.inside)
        to_image = gradient.mul_(_by_channel(weight)).sub_(normal.mul_(along_normal))
        to_image = to_image.sub_(along_mean).mul_(scale).mul_(mask)
        return to_image, to_weight.sum(0), to_bias.sum(0), None, None, None


def _group_means(sums: Tensor, groups: int, inside: Inside) -> Tensor:
    """From each channel's sum, (B, C), to the mean of its group, (B, C, 1, 1)."""
    count, channels = sums.shape
    means = sums.view(count, groups, -1).mean(2) / inside.areas[:, None]
    return means.repeat_interleave(channels // groups, 1)[:, :, None, None]


def _by_channel(values: Tensor) -> Tensor:
    return values[:, None, None]
