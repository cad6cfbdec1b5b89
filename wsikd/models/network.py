"""What all networks are: readers of regions of any size, stage by stage."""

import abc
from typing import NamedTuple

from torch import Tensor, nn


class Seen(NamedTuple):
    """What a network makes of a batch.

    Attributes
    ----------
    feature_map : Tensor, shape (B, C, H / stride, W / stride)
        Output of the last stage after its activation. That of a ResNet is never negative.
    logits : Tensor, shape (B, K)
        Scores of the classes before the softmax; an encoder without classes has no columns.
    """

    feature_map: Tensor
    logits: Tensor

    @property
    def embedding(self) -> Tensor:
        """The feature map's mean over its pixels, shape (B, C)."""
        return _pool(self.feature_map)


class Network(nn.Module, abc.ABC):
    """Reads standardised RGB images of any size; an encoder if it knows no classes.

    Attributes
    ----------
    stride : int
        Pixels of the image per pixel of the feature map, along each side.
    embedding_width : int
        Channels of the feature map.
    fc : nn.Linear
        From the embedding to the logits. An encoder without classes has none.
    """

    stride: int
    embedding_width: int
    fc: nn.Linear

    @abc.abstractmethod
    def stages(self) -> dict[str, nn.Module]:
        """Return the modules that hand a map of shape (B, C, h, w) on, from fine to coarse.

        Each runs once per image, and the output of the last is the feature map. What looks into
        a network looks here.
        """

    @abc.abstractmethod
    def map_features(self, image: Tensor) -> Tensor:
        """Return the feature map, shape (B, C, H / stride, W / stride); a ResNet rounds up."""

    def forward(self, image: Tensor) -> Seen:
        """Read a batch of images, float of shape (B, 3, H, W), H and W at least 1."""
        feature_map = self.map_features(image)
        embedding = _pool(feature_map)
        return Seen(feature_map, self.fc(embedding) if hasattr(self, "fc") else embedding[:, :0])

    def embed(self, image: Tensor) -> Tensor:
        """Read a batch of images to embeddings of shape (B, C), without asking for classes."""
        return _pool(self.map_features(image))

    def know(self, class_count: int) -> None:
        """Add the last layer, from PyTorch's default; without classes there is none."""
        if class_count:
            self.fc = nn.Linear(self.embedding_width, class_count)


def _pool(feature_map: Tensor) -> Tensor:
    # the plain mean has a deterministic backward on CUDA, adaptive_avg_pool2d has not
    return feature_map.mean((2, 3))
