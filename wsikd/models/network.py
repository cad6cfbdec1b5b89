"""What all networks are: readers of regions of any size."""

import abc
from typing import NamedTuple

from torch import Tensor, nn


class Seen(NamedTuple):
    """What a network gives for a batch.

    Attributes
    ----------
    feature_map : Tensor, shape (B, C, H, W)
        Output of the last stage after its activation; 1/32 of the image's sides. That of a ResNet
        is never negative.
    logits : Tensor, shape (B, K)
        Scores of the classes before the softmax; an encoder without classes has no columns.
    """

    feature_map: Tensor
    logits: Tensor

    @property
    def embedding(self) -> Tensor:
        """The feature map's mean over its pixels, shape (B, C)."""
        return embed(self.feature_map)


class Network(nn.Module, abc.ABC):
    """Reads standardised RGB images of any size; an encoder if it knows no classes.

    Attributes
    ----------
    embedding_width : int
        Channels of the feature map.
    fc : nn.Linear
        From the embedding to the logits. An encoder without classes has none.
    """

    embedding_width: int
    fc: nn.Linear

    @abc.abstractmethod
    def map_features(self, image: Tensor) -> Tensor:
        """Give the feature map, shape (B, C, H / 32, W / 32); a ResNet rounds up."""

    def forward(self, image: Tensor) -> Seen:
        """Read a batch of images, float of shape (B, 3, H, W), H and W at least 1."""
        feature_map = self.map_features(image)
        embedding = embed(feature_map)
        return Seen(feature_map, self.fc(embedding) if hasattr(self, "fc") else embedding[:, :0])

    def know(self, class_count: int) -> None:
        """Add the last layer, from PyTorch's default; without classes there is none."""
        if class_count:
            self.fc = nn.Linear(self.embedding_width, class_count)


def embed(feature_map: Tensor) -> Tensor:
    """Average a feature map of shape (B, C, H, W) over its pixels to shape (B, C)."""
    # the plain mean has a deterministic backward on CUDA, adaptive_avg_pool2d has not
    return feature_map.mean((2, 3))
