"""Group normalisation that also takes a single pixel."""

import torch
from torch import Tensor, nn

GROUPS = 32


class GroupNorm(nn.GroupNorm):
    """Group normalisation with 32 groups, for images of any size from 1 x 1 pixel.

    Parameters
    ----------
    channels : int
        A multiple of 32. With 32 of them every channel is normalised alone.

    Notes
    -----
    `torch.nn.GroupNorm` refuses a group of one value, which the first layers meet on images up to
    4 x 4 pixels. The formula is defined there: the value less its mean is 0, so the bias remains.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(GROUPS, channels)

    def forward(self, image: Tensor) -> Tensor:
        """Normalise an image of shape (B, C, H, W)."""
        return torch.group_norm(image, self.num_groups, self.weight, self.bias, self.eps)
