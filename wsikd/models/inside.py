"""Which places of a map lie inside the images that it was made of."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from wsikd.geometry import Size
from wsikd.models.images import Images


class Inside:
    """The valid part of each map of a batch, at one level of a network.

    Each lies in the upper left corner. A convolution or a pooling of stride s that pads by half of
    its kernel turns a part of n places into one of ceil(n / s).

    Parameters
    ----------
    widths, heights : Tensor of int, shape (B,)
        Of the valid parts, at least 1; on the device of the maps.
    canvas : Size
        Of the maps, so of the largest part at least.
    dtype : torch.dtype
        Of the maps.
    """

    def __init__(
        self, widths: Tensor, heights: Tensor, *, canvas: Size, dtype: torch.dtype
    ) -> None:
        self._widths, self._heights, self._canvas, self._dtype = widths, heights, canvas, dtype

    @classmethod
    def of(cls, images: Images) -> "Inside | None":
        """Return what lies inside the images; None if they fill their tensor."""
        if images.sizes is None:
            return None
        height, width = images.pixels.shape[2:]
        extents = torch.tensor(images.sizes, device=images.pixels.device).unbind(1)
        return cls(*extents, canvas=Size(width, height), dtype=images.pixels.dtype)

    @cached_property
    def mask(self) -> Tensor:
        """1 inside and 0 outside, shape (B, 1, H, W)."""
        columns = torch.arange(self._canvas.width, device=self._widths.device)
        rows = torch.arange(self._canvas.height, device=self._widths.device)
        wide = columns < self._widths[:, None]  # (B, W)
        high = rows < self._heights[:, None]  # (B, H)
        return (high[:, None, :, None] & wide[:, None, None, :]).to(self._dtype)

    @cached_property
    def areas(self) -> Tensor:
        """Number of places inside, shape (B,); in float32 at least, which counts them."""
        counts = self._widths * self._heights
        return counts.to(torch.promote_types(self._dtype, torch.float32))

    @cached_property
    def sizes(self) -> Tensor:
        """Height and width of what lies inside, int32 of shape (B, 2)."""
        return torch.stack([self._heights, self._widths], 1).to(torch.int32)

    @cached_property
    def halved(self) -> "Inside":
        """What lies inside after a stride of 2; one for all that ask."""
        width, height = (ceil_divide(side, 2) for side in self._canvas)
        return Inside(
            (self._widths + 1) // 2,
            (self._heights + 1) // 2,
            canvas=Size(width, height),
            dtype=self._dtype,
        )


def after(inside: Inside | None, stride: int) -> Inside | None:
    """Return what lies inside after a stride of 1 or 2."""
    return inside if inside is None or stride == 1 else inside.halved


def blank(image: Tensor, inside: Inside | None) -> Tensor:
    """Return a map that is 0 outside; the very same if there is no outside."""
    return image if inside is None else image * inside.mask


def mean_inside(feature_map: Tensor, sizes: Sequence[Size] | None) -> Tensor:
    """Return the mean over the places inside, shape (B, C), of a map that is 0 outside."""
    if sizes is None:
        # the plain mean has a deterministic backward on CUDA, adaptive_avg_pool2d has not
        return feature_map.mean((2, 3))
    areas = [size.width * size.height for size in sizes]
    counts = torch.tensor(areas, dtype=feature_map.dtype, device=feature_map.device)
    return feature_map.sum((2, 3)) / counts[:, None]


def sizes_after(sizes: Sequence[Size] | None, stride: int) -> tuple[Size, ...] | None:
    """Return the sizes of the maps of a network that rounds up at each of its strides."""
    if sizes is None:
        return None
    return tuple(Size(*(ceil_divide(side, stride) for side in size)) for size in sizes)


def ceil_divide(number: int, divisor: int) -> int:
    """Divide whole numbers and round up."""
    return -(-number // divisor)
