"""Which windows of an image are compared: those whose confidence is sure, by their entropy.

The sampler of "Efficient Self-Supervision using Patch-based Contrastive Learning" [1]_. Where the
published code and this differ, `as_released` follows the code.

References
----------
.. [1] Boserup, Selvan. "Efficient Self-Supervision using Patch-based Contrastive Learning for
       Histopathology Image Segmentation". 2023. arXiv:2208.10779.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

_LEAST_LOG = -100.0  # of 0, as in the published code
_LEAST_WEIGHT = 0.001


class Windows(NamedTuple):
    """Windows drawn from a batch, all channels and images alike.

    Attributes
    ----------
    image, top, left : Tensor of int, shape (K, n)
        Which image of the batch, and the window's corner in pixels.
    positive : Tensor of bool, shape (K, n)
        Whether the window was drawn as one that shows what its channel stands for.
    """

    image: Tensor
    top: Tensor
    left: Tensor
    positive: Tensor


def pixel_entropy(confidence: Tensor) -> Tensor:
    """Compute the entropy of a Bernoulli variable in bits, 1 at a half and 0 at 0 and 1.

    Examples
    --------
    >>> pixel_entropy(torch.tensor([0.0, 0.5, 1.0])).tolist()
    [0.0, 1.0, 0.0]
    """
    yes, no = (torch.log2(part).clamp(min=_LEAST_LOG) for part in (confidence, 1 - confidence))
    return -confidence * yes - (1 - confidence) * no


def window_means(values: Tensor, side: int, stride: int, *, as_released: bool = False) -> Tensor:
    """Compute the means of all windows.

    Parameters
    ----------
    values : Tensor, shape (B, K, h, w)
        With h and w at least `side`.
    side, stride : int
        Of the windows, in pixels.
    as_released : bool
        Leave out the last row and column where windows fit exactly, as a strict inequality of the
        published code does.

    Returns
    -------
    Tensor, shape (B, K, rows, columns)

    Examples
    --------
    >>> window_means(torch.arange(4.0).reshape(1, 1, 1, 4).repeat(1, 1, 2, 1), 2, 1)
    tensor([[[[0.5000, 1.5000, 2.5000]]]])
    """
    if as_released:
        height, width = values.shape[-2:]
        rows, columns = (max(1, math.ceil((length - side) / stride)) for length in (height, width))
        means = F.avg_pool2d(values, side, stride)
        return means[..., :rows, :columns]
    return F.avg_pool2d(values, side, stride)


@torch.no_grad()
def draw_windows(
    confidence: Tensor,
    random: Generator,
    *,
    side: int = 50,
    stride: int = 20,
    count: int = 10,
    as_released: bool = False,
) -> Windows:
    """Draw windows of every image and channel, and call each positive or negative.

    A window is drawn with a weight of 1 less its mean entropy, at least 0.001, so that sure windows
    are favoured, and with replacement; it is positive with a probability of its mean confidence.

    Parameters
    ----------
    confidence : Tensor, shape (B, K, h, w)
        In 0 to 1.
    random : Generator
        On the CPU, so that every device draws alike.
    side, stride : int
        Of the windows, in pixels. The published code's stride is 20 whatever is asked for.
    count : int
        Windows per image and channel.
    as_released : bool
        See `window_means`.

    Returns
    -------
    Windows
        n = B x `count` of each channel, those of an image beside each other.
    """
    images, channels = confidence.shape[:2]
    means, entropies = (
        window_means(values, side, stride, as_released=as_released).float().cpu()
        for values in (confidence, pixel_entropy(confidence))
    )
    columns = means.shape[-1]
    weights = (1 - entropies).clamp(min=_LEAST_WEIGHT).flatten(0, 1).flatten(1)
    drawn = torch.multinomial(weights, count, replacement=True, generator=random)  # (B K, count)
    chances = means.flatten(0, 1).flatten(1).gather(1, drawn).clamp(0, 1)
    positive = torch.bernoulli(chances, generator=random).bool()

    def by_channel(values: Tensor) -> Tensor:
        return values.reshape(images, channels, count).transpose(0, 1).reshape(channels, -1)

    image = torch.arange(images).repeat_interleave(channels * count)
    return Windows(
        by_channel(image),
        by_channel(drawn // columns) * stride,
        by_channel(drawn % columns) * stride,
        by_channel(positive),
    )


def cut_patches(images: Tensor, confidence: Tensor, windows: Windows, side: int) -> Tensor:
    """Cut the windows of the images, weighted by the confidence of their channel.

    Parameters
    ----------
    images : Tensor, shape (B, 3, h, w)
        From `wsikd.nuclei.network.lift`.
    confidence : Tensor, shape (B, K, h, w)
        Gradients flow through it.
    windows : Windows
        From `draw_windows`.
    side : int
        Of the windows, in pixels.

    Returns
    -------
    Tensor, shape (K, n, 3, side, side)
    """
    _, colours, height, width = images.shape
    channels, count = windows.image.shape
    inside = (torch.arange(side)[:, None] * width + torch.arange(side)).flatten()
    corners = windows.top * width + windows.left
    # places in flat tensors, as indexing whole images would copy one for every window
    picked = (windows.image * colours * height * width + corners)[..., None, None]
    picked = picked + torch.arange(colours)[:, None] * height * width + inside
    channel = torch.arange(channels)[:, None]
    weighed = ((windows.image * channels + channel) * height * width + corners)[..., None] + inside
    device = images.device
    pixels = images.flatten().gather(0, picked.flatten().to(device)).view(picked.shape)
    weights = confidence.flatten().gather(0, weighed.flatten().to(device)).view(weighed.shape)
    patches = pixels * weights[:, :, None]  # (K, n, 3, side²)
    return patches.reshape(channels, count, colours, side, side)
