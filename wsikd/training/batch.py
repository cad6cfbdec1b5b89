"""What a step learns from: the views of some items, and what is known of these."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wsikd.models.images import Images

_NO_LABELS = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Batch:
    """Some items of a feed, on the device.

    Attributes
    ----------
    indices : tuple of int
        Of the items, as the feed numbers them.
    images : mapping of str to Images
        The views by name, all of the same items in the same order.
    labels : Tensor of int, shape (B,)
        The class of each item, -1 if it has none; empty where none has any.
    weights : Tensor, shape (B,), optional
        How much each item counts in the loss; alike without.
    epoch : int, optional
        In which the views were varied; None if they are the images as they are.
    """

    indices: tuple[int, ...]
    images: Mapping[str, Images]
    labels: Tensor = _NO_LABELS
    weights: Tensor | None = None
    epoch: int | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, name: str) -> Images:
        return self.images[name]

    def halves(self) -> "list[Batch]":
        """Part it into two, each without padding that none of its items needs; one item is one."""
        middle = len(self) // 2
        parts = [slice(0, middle), slice(middle, None)] if middle else [slice(None)]
        return [
            replace(
                self,
                indices=self.indices[part],
                images={name: images.part(part) for name, images in self.images.items()},
                labels=self.labels[part],
                weights=None if self.weights is None else self.weights[part],
            )
            for part in parts
        ]

    def count_pixels(self) -> tuple[int, int]:
        """Count the pixels of the largest view, those of the padding among them, and without.

        Items are put together by that view alone, whatever smaller ones are read beside it.
        """
        padded = own = 0
        for images in self.images.values():
            sizes = images.each_size()
            height, width = images.pixels.shape[2:]
            if own < (count := sum(size.width * size.height for size in sizes)):
                padded, own = len(sizes) * height * width, count
        return padded, own
