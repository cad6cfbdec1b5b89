"""What reading an image costs: multiply-accumulate operations."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from wsikd.errors import ConfigError
from wsikd.geometry import Size
from wsikd.models.shapes import read_shape


def count_macs(model: nn.Module, size: Size) -> int:
    """Count the multiply-accumulate operations of one forward pass, exactly for this size.

    Convolutions and products of matrices count, with those of linear layers and attention, and
    with the products of the zero padding and of masked places, as is usual. Normalisation,
    activation, pooling, interpolation and whatever else is done value by value do not. One MAC is
    two FLOPs.

    Parameters
    ----------
    model : nn.Module
        Takes a float image of shape (1, 3, height, width). It is not changed and nothing is
        computed: only shapes go through it.
    size : Size
        Size of the image in pixels.

    Raises
    ------
    ConfigError
        If the model runs an operation and it is not known whether that counts.

    Examples
    --------
    >>> from wsikd.models import build_model
    >>> count_macs(build_model("resnet10w32", 3), Size(1024, 1024)) // 1024**2
    5016
    """
    counter = _Counter(type(model).__name__)
    with counter:
        read_shape(model, size)
    return counter.macs


def gmacs_of(model: nn.Module) -> Callable[[Size], float]:
    """Return what counts 10^9 multiply-accumulate operations of a size, each size once."""
    return cache(lambda size: count_macs(model, size) / 1e9)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # PyTorch's
    """Sees every operation of PyTorch below its layers, and adds up what they multiply."""

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch's
        self.macs, self._name = 0, name

    def __torch_dispatch__(
        self,
        operation: OpOverload,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name, kwargs = _name(operation), kwargs or {}
        if name not in _COUNTED and not _is_free(operation):
            with self:  # of some operations PyTorch knows the parts
                result = operation.decompose(*args, **kwargs)
            if result is NotImplemented:
                raise ConfigError(
                    f"the cost of {self._name} is unknown, as it runs {operation}; say in "
                    "wsikd.models.cost how it counts"
                )
            return result
        result = operation(*args, **kwargs)
        if name in _COUNTED:
            self.macs += _COUNTED[name](args, result)
        return result


def _name(operation: OpOverload) -> str:
    return str(operation._overloadpacket).removeprefix("aten.").removesuffix("_")


def _is_free(operation: OpOverload) -> bool:
    by_value = {torch.Tag.pointwise, torch.Tag.inplace_view} & set(operation.tags)
    return bool(by_value) or operation.is_view or _name(operation) in _FREE


def _convolution(args: Sequence[Any], result: Tensor) -> int:
    image, weight, transposed = args[0], args[1], args[6]
    # weights are (out, in / groups, ...), of a transposed convolution (in, out / groups, ...)
    places = image if transposed else result
    return int(places.numel() * prod(weight.shape[1:]))


def _product(first: int) -> Callable[[Sequence[Any], Tensor], int]:
    """Count (..., M, N) @ (..., N, K), or with a vector in the second place, from its arguments."""

    def count(args: Sequence[Any], _result: Tensor) -> int:
        one, other = args[first : first + 2]
        columns = other.shape[-1] if other.ndim > 1 else 1
        return int(one.numel() * columns)

    return count


def _attention(args: Sequence[Any], _result: Any) -> int:
    query, key, value = args[:3]  # (..., L, E), (..., S, E) and (..., S, V)
    likeness = query.numel() * key.shape[-2]
    average = prod(query.shape[:-1]) * prod(value.shape[-2:])
    return int(likeness + average)


_COUNTED: dict[str, Callable[[Sequence[Any], Any], int]] = {
    "convolution": _convolution,
    **dict.fromkeys(("mm", "bmm", "mv", "dot"), _product(0)),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv"), _product(1)),
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
}
"""Name of an operation to what counts it from its arguments and its result."""

_FREE_BY_WORK = {
    "normalise": "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "native_group_norm native_layer_norm _fused_rms_norm _softmax _log_softmax _safe_softmax",
    "activate": "hardswish mish glu _prelu_kernel rrelu_with_noise",
    "pool": "max_pool2d_with_indices avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d",
    "sum up": "mean sum amax amin max min argmax argmin any all var std var_mean "
    "linalg_vector_norm cumsum",
    "interpolate": "upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d "
    "_upsample_bilinear2d_aa upsample_bicubic2d _upsample_bicubic2d_aa grid_sampler_2d",
    "move": "cat stack copy _to_copy _unsafe_view constant_pad_nd reflection_pad2d "
    "replication_pad2d index index_select gather embedding roll flip repeat im2col pixel_shuffle "
    "pixel_unshuffle channel_shuffle lift_fresh",
    "make": "empty empty_like new_empty zeros zeros_like new_zeros ones ones_like new_ones full "
    "full_like new_full arange linspace scalar_tensor tril triu eye fill zero",
    "draw": "bernoulli native_dropout rand rand_like randn randn_like",
}
_FREE = frozenset(" ".join(_FREE_BY_WORK.values()).split())
"""Operations that multiply nothing that counts, beside views and what PyTorch calls pointwise."""
