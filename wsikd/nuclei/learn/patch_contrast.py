"""Patch contrast: windows a channel calls positive shall look alike, and unlike its negatives.

The loss of "Efficient Self-Supervision using Patch-based Contrastive Learning" [1]_. A patch is a
window of an image weighted by its confidence (`wsikd.nuclei.learn.windows`); similarities compare
every patch with every other.

References
----------
.. [1] Boserup, Selvan. "Efficient Self-Supervision using Patch-based Contrastive Learning for
       Histopathology Image Segmentation". 2023. arXiv:2208.10779.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Similarity = Callable[[Tensor, Tensor], Tensor]
"""From patches of shape (A, ...) and (N, ...) to their similarities, shape (A, N)."""

_LEAST_LOG = -100.0  # of 0, as torch's binary cross-entropy has it
_BINS = 25
_TINY = 1e-12
_SMALLEST = 1e-30  # whose inverse single precision still holds


def mse_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Compute the negative mean squared difference, over colours and pixels.

    Parameters
    ----------
    first, second : Tensor, shapes (A, C, s, s) and (N, C, s, s)

    Returns
    -------
    Tensor, shape (A, N)
    """
    a, b = first.flatten(1), second.flatten(1)
    squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    return -squares.clamp(min=0) / a.shape[1]


def cross_entropy_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Compute the negative mean binary cross-entropy of the first patch as a guess of the second.

    Shapes as for `mse_similarity`; values in 0 to 1. Not symmetric.
    """
    a, b = first.flatten(1), second.flatten(1)
    yes, no = (_log(part) for part in (a, 1 - a))
    return (yes @ b.T + no @ (1 - b).T) / a.shape[1]


def mutual_information_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Compute the mutual information of the grey values of equal pixels, in nats, from 25 bins.

    Shapes as for `mse_similarity`; values in 0 to 1. A value between the centres of two bins counts
    in both by its nearness, so that gradients flow.
    """
    a, b = (_binned(patches.mean(1).flatten(1)) for patches in (first, second))
    joint = torch.einsum("apk,npl->ankl", a, b) / a.shape[1]
    alone = a.mean(1)[:, None, :, None] * b.mean(1)[None, :, None, :]
    ratio = joint.clamp(min=_TINY).log() - alone.clamp(min=_TINY).log()
    return (joint * ratio).sum((2, 3))


def kl_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Compute the negative Kullback-Leibler divergence of the first from the second, in nats.

    Shapes as for `mse_similarity`. A patch's values are brought to a sum of 1, as the shares of its
    light that its pixels and colours have.
    """
    a, b = (_shares(patches.flatten(1)) for patches in (first, second))
    log_a, log_b = a.clamp(min=_TINY).log(), b.clamp(min=_TINY).log()
    return a @ log_b.T - (a * log_a).sum(1, keepdim=True)


def cosine_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Compute the cosine of the angle between features.

    Parameters
    ----------
    first, second : Tensor, shapes (A, D) and (N, D)
        From `wsikd.nuclei.network.FeatureNetwork`.
    """
    return F.normalize(first, dim=1) @ F.normalize(second, dim=1).T


SIMILARITIES: dict[str, Similarity] = {
    "mse": mse_similarity,
    "cross-entropy": cross_entropy_similarity,
    "mutual-information": mutual_information_similarity,
    "kl": kl_similarity,
    "cosine": cosine_similarity,
}
"""By name; that of "cosine" compares features and not pixels.

The published code takes the alphabetically first, cross-entropy, where none is named; its authors
name MSE, which is the default here.
"""


def patch_contrast_loss(
    positives: Sequence[Tensor],
    negatives: Sequence[Tensor],
    similarity: Similarity,
    anchors: Sequence[Tensor],
    *,
    temperature: float = 1.0,
    released_images: int | None = None,
) -> dict[str, Tensor]:
    """Compare the positive windows of each channel with each other, and with all else.

    For an anchor a and a positive p of one channel the terms are

        intra: -sim(a, p) + log of the sum over the channel's negatives q of exp sim(a, q)
        inter: -sim(a, p) + log of the sum over other channels' positives q of exp sim(a, q)

    As published, the positive is not part of the denominator.

    Parameters
    ----------
    positives, negatives : sequences of Tensor, shapes (P_k, ...) and (Q_k, ...)
        Patches, or their features, of each channel; at least two and one.
    similarity : callable
        One of `SIMILARITIES`.
    anchors : sequence of Tensor of int
        Which positives of each channel are anchors.
    temperature : float
        Similarities are divided by it; 1 as published.
    released_images : int, optional
        Images B of the batch, to divide sums by 100 B instead of the number of pairs, and to pair
        anchors with themselves, as the published code does.

    Returns
    -------
    dict of Tensor
        "intra" and, of several channels, "inter": sums over channels of the means over pairs.
    """
    terms: dict[str, list[Tensor]] = {"intra": [], "inter": []}
    for channel, chosen in enumerate(anchors):
        own = positives[channel]
        rest = [other for k, other in enumerate(positives) if k != channel]
        near = similarity(own[chosen], own) / temperature  # (A, P)
        weights = _pair_weights(near, chosen, released_images)
        compared = {"intra": negatives[channel], **({"inter": torch.cat(rest)} if rest else {})}
        for name, others in compared.items():
            far = (similarity(own[chosen], others) / temperature).logsumexp(1, keepdim=True)
            terms[name].append(((far - near) * weights).sum())
    return {name: torch.stack(parts).sum() for name, parts in terms.items() if parts}


def draw_anchors(counts: Sequence[int], random: Generator, *, count: int = 10) -> list[Tensor]:
    """Draw anchors among the positives of each channel, with replacement.

    Examples
    --------
    >>> [len(anchors) for anchors in draw_anchors([3, 2], Generator())]
    [10, 10]
    """
    return [torch.randint(among, (count,), generator=random) for among in counts]


def separation(drawn: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Compute how much positive windows differ among themselves, relative to negative ones.

    Parameters
    ----------
    drawn : sequence of pairs of Tensor, shapes (P, ...) and (Q, ...)
        Positive and negative windows of each channel, weighted by confidence.

    Returns
    -------
    float
        Sum over channels of the mean squared difference of two positives, divided by that of a
        positive and a negative. 0 is perfect, 1 no difference at all; infinite without windows.
    """
    within = between = 0.0
    for positives, negatives in drawn:
        if len(positives) < 2:
            continue
        own = -mse_similarity(positives, positives)
        pairs = len(positives) * (len(positives) - 1)
        within += float(own.fill_diagonal_(0).sum()) / pairs
        between -= float(mse_similarity(positives, negatives).mean())
    return within / between if between > 0 else float("inf")


def _pair_weights(near: Tensor, anchors: Tensor, released_images: int | None) -> Tensor:
    if released_images is not None:
        return torch.full_like(near, 1 / (100 * released_images))
    weights = torch.ones_like(near)
    weights[torch.arange(len(anchors)), anchors] = 0  # an anchor tells nothing of itself
    return weights / weights.sum()


def _log(values: Tensor) -> Tensor:
    """Compute logarithms; that of 0 is finite with a gradient of 0, unlike a clamped infinity."""
    return values.clamp(min=_SMALLEST).log().masked_fill(values < _SMALLEST, _LEAST_LOG)


def _binned(values: Tensor) -> Tensor:
    """Compute the weight of each value in each bin, shape (..., bins); rows sum to 1."""
    centres = torch.linspace(0, 1, _BINS, dtype=values.dtype, device=values.device)
    return (1 - (values[..., None] - centres).abs() * (_BINS - 1)).clamp(min=0)


def _shares(values: Tensor) -> Tensor:
    return values / values.sum(1, keepdim=True).clamp(min=_TINY)
