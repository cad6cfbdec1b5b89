"""The confidence network on images of any height, a few rows at a time, nothing computed twice.

Every convolution keeps the last rows that it has read, two of its dilations, so that the next rows
continue where the last ones ended: there are no seams, and what is in memory does not grow with the
image's height. It grows with the width, to 0.8 GB at 100,000 px: `tests/benchmarks/
test_bench_segment.py` measures it, and the speed.

The rows are few enough for their feature maps to stay in the processor's cache. Batch norm is
folded into the convolutions, and the head computes the one channel that is asked for.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_weights

from wsikd.geometry import Pixels, Size
from wsikd.nuclei.network import HALO, ConfidenceNetwork, lift

_PIXELS = 2**16  # computed at once; feature maps of 2 MB
_MAX_ROWS = 256
_PANEL = 2048  # px; wider images are cut into panels that overlap by the halo


def stream_confidence(
    model: ConfidenceNetwork,
    strips: Iterable[Pixels],
    size: Size,
    channel: int,
    *,
    device: torch.device | str = "cpu",
) -> Iterator[NDArray[np.float32]]:
    """Compute the confidence of every pixel, in rows from the top.

    Parameters
    ----------
    model : ConfidenceNetwork
        It counts as in `eval` mode, whichever it is in, and is not changed.
    strips : iterable of ndarray of uint8, shape (rows, width, 3)
        RGB from the top, any number of rows at a time; those of `size` in all.
    size : Size
        Of the image, in pixels.
    channel : int
        The one whose confidence is computed.
    device : torch.device or str
        Where it is computed.

    Yields
    ------
    ndarray of float32, shape (rows, width)
        In 0 to 1. `size.height` rows in all, 32 at a time where the image is wide and at most 256
        where it is narrow. They lag behind what has been read by the halo of 83 rows and those,
        and differ from the network on the whole image by the rounding of folded batch norms: at
        most 1e-5, 1e-6 as a rule.
    """
    panels = _cut_panels(size.width)
    networks = [_RowNetwork(model, channel, device) for _ in panels]
    read = 0
    rows_at_once = max(1, min(_MAX_ROWS, _PIXELS // min(size.width, _PANEL)))
    for strip in _regroup(strips, rows_at_once):
        assert strip.shape[1:] == (size.width, 3), (strip.shape, size)
        read += len(strip)
        rows = np.concatenate(
            [
                network.push(strip[:, panel.seen], last=read == size.height)[:, panel.kept]
                for network, panel in zip(networks, panels, strict=True)
            ],
            axis=1,
        )
        if len(rows):
            yield rows
    assert read == size.height, (read, size)


class _Panel(NamedTuple):
    seen: slice  # columns of the image
    kept: slice  # columns of what is seen


def _cut_panels(width: int) -> list[_Panel]:
    count = -(-width // _PANEL)
    edges = [width * index // count for index in range(count + 1)]
    panels = []
    for left, right in pairwise(edges):
        seen = slice(max(0, left - HALO), min(width, right + HALO))
        panels.append(_Panel(seen, slice(left - seen.start, right - seen.start)))
    return panels


def _regroup(strips: Iterable[Pixels], rows: int) -> Iterator[Pixels]:
    """Yield the same pixels, `rows` at a time."""
    waiting: list[Pixels] = []
    for strip in strips:
        for piece in np.split(strip, range(rows - _count(waiting), len(strip), rows)):
            waiting.append(piece)
            if _count(waiting) == rows:
                yield np.concatenate(waiting)
                waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _count(strips: list[Pixels]) -> int:
    return sum(len(strip) for strip in strips)


class _RowNetwork:
    """The network for one channel; each `push` returns the rows that it completes.

    Feature maps have shape (rows, width, channels), which `F.conv2d` takes as channels_last.
    """

    def __init__(self, model: ConfidenceNetwork, channel: int, device: torch.device | str) -> None:
        layers = (part for part in model.modules() if isinstance(part, nn.Sequential))
        stem, *others = [_Layer(layer, device) for layer in layers]
        self._stem = stem
        self._blocks = [_Residual(*pair) for pair in zip(others[::2], others[1::2], strict=True)]
        self._weight = model.head.weight.detach()[channel, :, 0, 0].to(device)
        assert model.head.bias is not None
        self._bias = model.head.bias.detach()[channel].to(device)
        self._device = device

    @torch.inference_mode()
    def push(self, strip: Pixels, *, last: bool) -> NDArray[np.float32]:
        pixels = lift(torch.tensor(strip, device=self._device))
        features = self._stem.convolve(self._stem.extend(pixels, last=last))
        for block in self._blocks:
            features = block.push(features, last=last)
        confidence: NDArray[np.float32] = (
            (features @ self._weight).add_(self._bias).sigmoid_().cpu().numpy()
        )
        return confidence


class _Layer:
    """A convolution with its batch norm, and ELU, on rows that come a few at a time."""

    def __init__(self, layer: nn.Sequential, device: torch.device | str) -> None:
        convolution, norm = layer[0], layer[1]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            convolution.weight,
            None,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        self._weight = weight.detach().to(device, memory_format=torch.channels_last)
        self._bias = bias.detach().to(device)
        self.dilation = convolution.dilation[0]
        self._above: Tensor | None = None

    def extend(self, rows: Tensor, *, last: bool) -> Tensor:
        """Put the rows below those kept, and zeros beyond the image's top and bottom."""
        border = rows.new_zeros(self.dilation, *rows.shape[1:])
        above = border if self._above is None else self._above
        return torch.cat([above, rows, border] if last else [above, rows])

    def convolve(self, seen: Tensor) -> Tensor:
        """Compute the rows that see all of their neighbours."""
        reach = 2 * self.dilation
        # a copy, as a view would keep all that is seen in memory
        self._above = seen[-reach:].clone()
        if len(seen) <= reach:
            return seen.new_empty(0, seen.shape[1], len(self._bias))
        convolved = F.conv2d(
            seen.permute(2, 0, 1)[None],
            self._weight,
            self._bias,
            padding=(0, self.dilation),
            dilation=self.dilation,
        )
        return F.elu_(convolved)[0].permute(1, 2, 0)


class _Residual:
    def __init__(self, first: _Layer, second: _Layer) -> None:
        self._first, self._second = first, second
        self._owed = 0  # rows that came and have not been returned

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        seen = self._first.extend(rows, last=last)
        self._owed += len(rows)
        below = self._first.dilation if last else 0
        added = seen[len(seen) - below - self._owed :]
        features = self._first.convolve(seen)
        features = self._second.convolve(self._second.extend(features, last=last))
        self._owed -= len(features)
        return features.add_(added[: len(features)])
