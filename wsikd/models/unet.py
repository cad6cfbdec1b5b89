"""A U-Net around an encoder: it predicts one image from another."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsikd.errors import ConfigError
from wsikd.models.network import Network
from wsikd.models.resnet import Norm, ResNet


class UNet(nn.Module):
    """A decoder with skip connections [1]_ that paints an image from what an encoder saw.

    The control of paired self-supervision [2]_, table S5: the encoder learns by predicting the
    second image of a pair instead of agreeing with its encoder.

    Parameters
    ----------
    encoder : Network
        A ResNet; the decoder is normalised as it is.

    Raises
    ------
    ConfigError
        If the encoder is no ResNet.

    Notes
    -----
    The decoder is wsikd's own: every step up is a bilinear interpolation to the size of the
    skipped map, then two 3 x 3 convolutions of that map's width. So it takes images of any size,
    and paints no checkerboard as transposed convolutions can.

    References
    ----------
    .. [1] Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
           Segmentation". 2015. arXiv:1505.04597.
    .. [2] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for
           Routine Histopathology Data". 2023. arXiv:2303.10656.
    """

    def __init__(self, encoder: Network) -> None:
        super().__init__()
        if not isinstance(encoder, ResNet):
            raise ConfigError(
                f"a u-net needs an encoder with the stages of a ResNet, got "
                f"{type(encoder).__name__}; choose a model whose name begins with resnet"
            )
        self.encoder, norm = encoder, type(encoder.bn1)
        widths = encoder.widths[::-1]
        self.steps = nn.ModuleList(
            _Step(below, skipped, norm) for below, skipped in pairwise(widths)
        )
        self.paint = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Predict an image with values in 0 to 1 from a standardised one, both (B, 3, H, W)."""
        *skipped, painted = self.encoder.map_stages(image)
        for step, finer in zip(self.steps, reversed(skipped), strict=True):
            painted = step(painted, finer)
        return torch.sigmoid(self.paint(_enlarge(painted, like=image)))


class _Step(nn.Module):
    """From a map to the next finer one, with what the encoder saw there."""

    def __init__(self, below: int, skipped: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(below + skipped, skipped, 3, padding=1, bias=False)
        self.bn1 = norm(skipped)
        self.conv2 = nn.Conv2d(skipped, skipped, 3, padding=1, bias=False)
        self.bn2 = norm(skipped)
        for convolution in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, painted: Tensor, skipped: Tensor) -> Tensor:
        both = torch.cat([_enlarge(painted, like=skipped), skipped], dim=1)
        painted = self.bn1(self.conv1(both), relu=True)
        return self.bn2(self.conv2(painted), relu=True)  # type: ignore[no-any-return]  # modules return Any


def _enlarge(image: Tensor, *, like: Tensor) -> Tensor:
    return F.interpolate(image, like.shape[2:], mode="bilinear", align_corners=False)
