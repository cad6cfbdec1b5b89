"""Images of unequal sizes in one tensor: each in its upper left corner, zero beyond."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from wsikd.geometry import Size


class Images(NamedTuple):
    """What a network reads at once.

    Attributes
    ----------
    pixels : Tensor, shape (B, 3, H, W)
        Standardised; zero beyond an image's own size.
    sizes : tuple of Size, optional
        Of each image, at least 1 x 1; None if all of them fill the tensor.
    """

    pixels: Tensor
    sizes: tuple[Size, ...] | None = None

    @classmethod
    def pad(cls, images: Sequence[Tensor], layout: torch.memory_format) -> Self:
        """Put images, or maps, of shape (C, h, w) together, padded only if their sizes differ."""
        sizes = tuple(Size(image.shape[2], image.shape[1]) for image in images)
        width, height = (max(sides) for sides in zip(*sizes, strict=True))
        like = images[0]
        shape = (len(images), len(like), height, width)
        padded = torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)
        alike = len(set(sizes)) == 1
        if not alike:
            padded.zero_()
        for index, image in enumerate(images):
            padded[index, :, : image.shape[1], : image.shape[2]] = image
        return cls(padded, None if alike else sizes)

    @classmethod
    def of(cls, images: "Images | Tensor") -> "Images":
        """Return images without padding that none of them needs, and without sizes if none is.

        So images of one size are read in exactly the same way whether their sizes are said or not.
        """
        if isinstance(images, Tensor):
            return Images(images)
        pixels, sizes = images
        if sizes is None:
            return images
        width, height = (max(sides) for sides in zip(*sizes, strict=True))
        pixels = pixels[:, :, :height, :width]
        return Images(pixels, sizes if len(set(sizes)) > 1 else None)

    def part(self, which: slice) -> "Images":
        """Return some of the images, without padding that none of them needs."""
        sizes = None if self.sizes is None else self.sizes[which]
        return Images.of(Images(self.pixels[which], sizes))

    def each_size(self) -> tuple[Size, ...]:
        """Return the size of each image, whether it fills the tensor or not."""
        height, width = self.pixels.shape[2:]
        return self.sizes or (Size(width, height),) * len(self.pixels)
