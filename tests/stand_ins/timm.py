"""Stands in for the library timm, which may be missing: a small network with its interface."""

import torch
from torch import nn


class Body(nn.Module):
    """Two blocks of which feature maps are declared, and a last convolution that widens."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.num_features = name, 6
        self.feature_info = [
            {"module": "blocks.0", "num_chs": 4, "reduction": 8},
            {"module": "blocks.1", "num_chs": 5, "reduction": 32},
        ]
        # unpadded, as the first of Xception
        first, second = nn.Conv2d(3, 4, 7, stride=8), nn.Conv2d(4, 5, 1, stride=4)
        self.blocks = nn.Sequential(
            nn.Sequential(first, nn.BatchNorm2d(4), nn.SiLU(inplace=True)),
            nn.Sequential(second, nn.BatchNorm2d(5)),
        )
        self.conv_head = nn.Conv2d(5, 6, 1)

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        return self.conv_head(self.blocks(image))


def create_model(
    model_name: str, *, pretrained: bool, num_classes: int, global_pool: str
) -> nn.Module:
    assert (pretrained, num_classes, global_pool) == (False, 0, "")
    return Body(model_name)
