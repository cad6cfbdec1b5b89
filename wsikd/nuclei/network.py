"""The nuclei segmenter of 10.8 thousand parameters: a confidence network and a patch featuriser.

The published count of "Efficient Self-Supervision using Patch-based Contrastive Learning" [1]_ is
that of both together, 7,372 of the confidence network at four channels and 3,386 of the featuriser.
The featuriser serves one similarity of `wsikd.nuclei.learn.patch_contrast` alone: what segments has
7,372.

References
----------
.. [1] Boserup, Selvan. "Efficient Self-Supervision using Patch-based Contrastive Learning for
       Histopathology Image Segmentation". 2023. arXiv:2208.10779. The layers are those of the
       published code.
"""

import torch
from torch import Tensor, nn

DILATIONS = (1, 2, 3, 5, 10, 20)
"""Of the residual blocks; of each block's two convolutions alike."""

HALO = 1 + 2 * sum(DILATIONS)
"""Pixels on each side that a pixel's confidence depends on: a receptive field of 167 px."""

PATCH = 50
"""Side of the patches that `FeatureNetwork` reads, in pixels."""

_WIDTH = 8
_FLOOR = 0.05


class ConfidenceNetwork(nn.Module):
    """Computes a confidence per channel for every pixel, at full resolution.

    Convolutions of 3 x 3 without bias, each with batch norm and ELU, eight channels wide: one, then
    six residual blocks of two with dilations 1, 2, 3, 5, 10 and 20; then 1 x 1 with bias, and a
    sigmoid. Borders are padded with zeros.

    Parameters
    ----------
    channels : int
        Confidences per pixel, K.

    Examples
    --------
    >>> sum(parameter.numel() for parameter in ConfidenceNetwork(4).parameters())
    7372
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = _layer(3, 1)
        self.blocks = nn.ModuleList(_Residual(dilation) for dilation in DILATIONS)
        self.head = nn.Conv2d(_WIDTH, channels, 1)

    @property
    def channels(self) -> int:
        """Confidences per pixel, K."""
        return self.head.out_channels

    def forward(self, images: Tensor) -> Tensor:
        """Compute the confidences.

        Parameters
        ----------
        images : Tensor, shape (B, 3, h, w)
            RGB from `lift`.

        Returns
        -------
        Tensor, shape (B, K, h, w)
            In 0 to 1.
        """
        features = self.stem(images)
        for block in self.blocks:
            features = block(features)
        return torch.sigmoid(self.head(features))


class FeatureNetwork(nn.Module):
    """Describes patches of 50 x 50 pixels by 32 numbers, from their grey values.

    Convolutions of 3 x 3 without padding, each with batch norm and ELU: 1 to 8 channels, then 8 to
    8 and 8 to 1 with stride and dilation 2; then a linear layer on the 9 x 9 values left.

    Examples
    --------
    >>> sum(parameter.numel() for parameter in FeatureNetwork().parameters())
    3386
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, _WIDTH, 3),
            nn.BatchNorm2d(_WIDTH),
            nn.ELU(),
            nn.Conv2d(_WIDTH, _WIDTH, 3, stride=2, dilation=2, bias=False),
            nn.BatchNorm2d(_WIDTH),
            nn.ELU(),
            nn.Conv2d(_WIDTH, 1, 3, stride=2, dilation=2, bias=False),
            nn.BatchNorm2d(1),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(81, 32),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Describe patches.

        Parameters
        ----------
        patches : Tensor, shape (N, 3, 50, 50)

        Returns
        -------
        Tensor, shape (N, 32)
        """
        features: Tensor = self.layers(patches.mean(1, keepdim=True))
        return features


class _Residual(nn.Module):
    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.first = _layer(_WIDTH, dilation)
        self.second = _layer(_WIDTH, dilation)

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = features + self.second(self.first(features))
        return added


def lift(images: Tensor) -> Tensor:
    """Bring bytes to 0.05 to 1, so that black does not vanish when weighted by a confidence.

    Examples
    --------
    >>> lift(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0.0500, 1.0000])
    """
    return lift_share(images.float().div_(255))


def lift_share(images: Tensor) -> Tensor:
    """Bring 0 to 1 to 0.05 to 1, see `lift`."""
    return images.mul(1 - _FLOOR).add_(_FLOOR)


def lower(images: Tensor) -> Tensor:
    """Undo `lift_share`.

    Examples
    --------
    >>> lower(torch.tensor([0.05, 1.0])).tolist()
    [0.0, 1.0]
    """
    return images.sub(_FLOOR).div_(1 - _FLOOR)


def _layer(inputs: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, _WIDTH, 3, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(_WIDTH),
        nn.ELU(),
    )
