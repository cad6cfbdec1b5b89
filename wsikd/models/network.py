"""What all networks are: readers of regions of any size, stage by stage."""

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from wsikd.geometry import Size
from wsikd.models.groupnorm import GroupNorm
from wsikd.models.images import Images
from wsikd.models.inside import mean_inside, sizes_after
from wsikd.models.policies import Policy


class Seen(NamedTuple):
    """What a network makes of a batch.

    Attributes
    ----------
    feature_map : Tensor, shape (B, C, H / stride, W / stride)
        Output of the last stage after its activation. That of a ResNet is never negative.
    logits : Tensor, shape (B, K)
        Scores of the classes before the softmax; an encoder without classes has no columns.
    sizes : tuple of Size, optional
        Of each image's part of the feature map, which is 0 beyond; None if all of them fill it.
    """

    feature_map: Tensor
    logits: Tensor
    sizes: tuple[Size, ...] | None = None

    @classmethod
    def join(cls, each: Sequence[Self]) -> Self:
        """Put what was made of several batches together, in their order."""
        if len(each) == 1:
            return each[0]
        maps = [
            one[:, : size.height, : size.width]
            for seen in each
            for one, size in zip(seen.feature_map, seen.each_size(), strict=True)
        ]
        padded = Images.pad(maps, torch.contiguous_format)
        return cls(padded.pixels, torch.cat([seen.logits for seen in each]), padded.sizes)

    def each_size(self) -> tuple[Size, ...]:
        """Return the size of each image's part, whether it fills the map or not."""
        return Images(self.feature_map, self.sizes).each_size()

    @property
    def embedding(self) -> Tensor:
        """The feature map's mean over each image's own pixels, shape (B, C)."""
        return mean_inside(self.feature_map, self.sizes)


Reader = Callable[[Images], Seen]
"""A network, or what computes one in its own way."""


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
    policy : Policy
        How it is computed, one of its `policies`; plain unless it is set.
    precision : torch.dtype, optional
        Of the maps between its layers, if it `rounds`; that of its weights without.
    fused : bool
        Whether its norms are kernels of `wsikd.models.kernels`; set by `fuse`.
    """

    policy: Policy = "plain"
    precision: torch.dtype | None = None
    fused: bool = False

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
    def map_features(self, images: Images | Tensor) -> Tensor:
        """Return the feature map, shape (B, C, H / stride, W / stride); a ResNet rounds up.

        It is 0 beyond each image's own part.
        """

    @property
    def packs(self) -> bool:
        """Whether it reads images of unequal sizes at once as it reads them one at a time."""
        return False

    @property
    def rounds(self) -> bool:
        """Whether its maps can be of another precision than its weights."""
        return False

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Ways in which it can be computed, from the fastest to the one of least memory."""
        return ("plain",)

    def forward(self, images: Images | Tensor) -> Seen:
        """Read a batch of images, float of shape (B, 3, H, W), H and W at least 1."""
        images = Images.of(images)
        feature_map, sizes = self._see(images)
        embedding = mean_inside(feature_map, sizes)
        logits = self.fc(embedding) if hasattr(self, "fc") else embedding[:, :0]
        return Seen(feature_map, logits, sizes)

    def embed(self, images: Images | Tensor) -> Tensor:
        """Read a batch of images to embeddings of shape (B, C), without asking for classes."""
        return mean_inside(*self._see(Images.of(images)))

    def _see(self, images: Images) -> tuple[Tensor, tuple[Size, ...] | None]:
        sizes = sizes_after(images.sizes, self.stride)
        if self.precision is None:
            return self.map_features(images), sizes
        pixels = images.pixels.to(self.precision)
        found = self.map_features(images._replace(pixels=pixels))
        return found.to(images.pixels.dtype), sizes

    def fuse(self, *, fused: bool) -> None:
        """Let kernels compute its group normalisation, or PyTorch."""
        self.fused = fused
        for part in self.modules():
            if isinstance(part, GroupNorm):
                part.fused = fused

    def know(self, class_count: int) -> None:
        """Add the last layer, from PyTorch's default; without classes there is none."""
        if class_count:
            self.fc = nn.Linear(self.embedding_width, class_count)
