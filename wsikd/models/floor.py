"""The least time that a network can take on a machine, from what its operations read and compute.

An operation cannot be faster than its arithmetic at the machine's best rate, nor than its tensors
can be brought to it and back. The larger of both, summed over operations, is the floor: what an
implementation is measured against. Convolutions are one pass over their tensors each. Group
normalisation reads its image twice and writes once, as mean and variance have to be known before;
its backward pass reads image and gradient twice and writes once; activation, residual and mask take
part in these passes, so that of them only a residual that is read counts.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from wsikd.geometry import Size
from wsikd.models.network import Network


class Work(NamedTuple):
    """What an operation does.

    Attributes
    ----------
    name : str
        PyTorch's, without its namespace.
    flops : int
        Two for each multiply-accumulate.
    values : int
        Read and written, of the maps and the weights.
    """

    name: str
    flops: int
    values: int


class Ceilings(NamedTuple):
    """What a machine does at best.

    Attributes
    ----------
    flops_per_s : float
        Of products of large matrices.
    bytes_per_s : float
        Read and written by a copy of a large tensor.
    """

    flops_per_s: float
    bytes_per_s: float


def list_work(model: Network, size: Size, *, count: int = 1, training: bool = True) -> list[Work]:
    """List what the operations of a step do that take time at best.

    Parameters
    ----------
    model : Network
        It is not changed and nothing is computed: only shapes go through it, and back.
    size : Size
        Of each image in pixels.
    count : int
        Images.
    training : bool
        Whether gradients are computed, too.
    """
    shapes = copy.deepcopy(model).to("meta")
    shapes.precision = None
    shapes.fuse(fused=False)  # a fused norm is one operation, whose parts are not seen
    seen = _Lister()
    with torch.device("meta"), seen, torch.set_grad_enabled(training):
        images = torch.empty(count, 3, size.height, size.width)
        logits = shapes(images).logits
        if training:
            logits.sum().backward()
    return seen.work


def floor_seconds(work: Iterable[Work], ceilings: Ceilings, *, value_bytes: int = 2) -> float:
    """Return the least time that all of it takes.

    Parameters
    ----------
    work : iterable of Work
        One after the other.
    ceilings : Ceilings
        Of the machine.
    value_bytes : int
        Of a value: 2 in bfloat16, 4 in float32.
    """
    return sum(
        max(each.flops / ceilings.flops_per_s, value_bytes * each.values / ceilings.bytes_per_s)
        for each in work
    )


class _Lister(TorchDispatchMode):  # type: ignore[no-untyped-call]  # PyTorch's
    """Sees every operation, and notes the work of those that take time at best."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch's
        self.work: list[Work] = []

    def __torch_dispatch__(
        self,
        operation: OpOverload,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        name = str(operation._overloadpacket).removeprefix("aten.")
        for flops, values in _RULES[name](args, result) if name in _RULES else ():
            self.work.append(Work(name, flops, values))
        return result


_Rule = Callable[[Sequence[Any], Any], list[tuple[int, int]]]
"""From arguments and result of an operation to FLOPs and values of each pass that it makes."""


def _convolve(args: Sequence[Any], result: Tensor) -> list[tuple[int, int]]:
    image, weight = args[:2]
    flops = 2 * result.numel() * prod(weight.shape[1:])
    return [(flops, image.numel() + weight.numel() + result.numel())]


def _convolve_back(args: Sequence[Any], _result: Any) -> list[tuple[int, int]]:
    gradient, image, weight = args[:3]
    flops = 2 * gradient.numel() * prod(weight.shape[1:])
    values = gradient.numel() + image.numel() + weight.numel()
    to_image, to_weight = args[-1][:2]
    return [(flops, values)] * (to_image + to_weight)


def _passes(count: int) -> _Rule:
    """Return the rule of so many passes over the first argument."""
    return lambda args, _result: [(0, count * args[0].numel())]


def _ends(args: Sequence[Any], result: Any) -> list[tuple[int, int]]:
    first = result[0] if isinstance(result, tuple) else result
    return [(0, args[0].numel() + first.numel())]


_RULES: dict[str, _Rule] = {
    "convolution": _convolve,
    "convolution_backward": _convolve_back,
    "native_group_norm": _passes(3),
    "native_group_norm_backward": _passes(5),
    "native_batch_norm": _passes(3),
    "native_batch_norm_backward": _passes(5),
    "add_": _passes(1),  # of a residual, which the pass of a norm adds
    "add": _passes(3),  # of the gradients of what two read
    "max_pool2d_with_indices": _ends,
    "max_pool2d_with_indices_backward": _ends,
}
"""By name of the operation. The rest is done in these passes, or is small."""
