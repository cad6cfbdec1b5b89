"""Grad-CAM by layer: which places of an image a network's answer rests on."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsikd.errors import ConfigError
from wsikd.models import Network


class Saliency(NamedTuple):
    """What a network looks at in a batch.

    Attributes
    ----------
    maps : dict of str to Tensor, shape (B, H, W)
        By layer, of the images' size, never negative. Maps of different layers or networks have
        different units: only their shapes can be compared.
    targets : Tensor, shape (B,), or None
        Class each image's maps are about; None for a network without classes.
    """

    maps: dict[str, Tensor]
    targets: Tensor | None


def grad_cam(model: Network, images: Tensor, *, target: int | None = None) -> Saliency:
    """Compute the Grad-CAM [1]_ of every stage that the network declares.

    A map is the rectified sum of a layer's channels, each weighted by the mean of its gradient,
    brought to the image's size bilinearly. The gradient is that of the target's logit. An encoder
    without classes has none: there it is that of half the squared norm of its embedding, so
    that a channel counts by what it adds to the embedding, whatever its meaning. In the last
    layer this is the likeness (inner product) of each place to the whole image.

    Parameters
    ----------
    model : Network
        Put into eval mode. Its parameters get no gradients, and no hook stays.
    images : Tensor, shape (B, 3, H, W)
        Standardised, of any size, on the model's device.
    target : int, optional
        Index of the class that all maps are about; by default the likeliest of each image.

    Raises
    ------
    ConfigError
        If the network has no such class.

    Notes
    -----
    Paper 1's figure 2 looks at the first convolution of each block; here it is the whole block's
    output, which is what the next one gets to see.

    References
    ----------
    .. [1] Selvaraju et al. "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
           Localization". 2016. arXiv:1610.02391.
    """
    from captum.attr import LayerGradCam  # noqa: PLC0415  # a second that only this needs

    layers = model.eval().stages()
    targets = _choose_targets(model, images, target)
    answer = _Energy(model) if targets is None else _Logits(model)
    maps = {
        name: _finish(LayerGradCam(answer, layer).attribute(images, targets), images)
        for name, layer in layers.items()
    }
    return Saliency(maps, targets)


class _Logits(nn.Module):
    """A network that returns its logits alone, as captum cannot take a tuple."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images).logits  # (B, K)
        return logits


class _Energy(nn.Module):
    """A network that returns half its embedding's squared norm; the embedding is the gradient."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model.embed(images).square().sum(1) / 2  # of (B, D)


@torch.no_grad()
def _choose_targets(model: Network, images: Tensor, target: int | None) -> Tensor | None:
    logits: Tensor = model(images).logits
    class_count = logits.shape[1]
    if target is not None and not 0 <= target < class_count:
        raise ConfigError(f"target must be below the {class_count} classes, got {target}")
    if class_count == 0:
        return None
    chosen = logits.argmax(1) if target is None else logits.new_full((len(logits),), target)
    return chosen.long()


def _finish(attribution: Tensor, images: Tensor) -> Tensor:
    maps = attribution.detach().relu()  # (B, 1, h, w), without the graph that led here
    return F.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
