"""What reading an image, and learning from it, takes of memory: tensors alive at once."""

import copy
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wsikd.geometry import Size
from wsikd.models.network import Network
from wsikd.models.policies import Policy


def count_peak(model: Network, size: Size, policy: Policy, *, training: bool) -> int:
    """Count the bytes of the tensors that are alive at once, at most, for one image.

    Nothing is computed: only shapes go through the network, and back.

    Parameters
    ----------
    model : Network
        It is not changed.
    size : Size
        Size of the image in pixels.
    policy : Policy
        How the network is computed.
    training : bool
        Whether gradients are computed, too.

    Returns
    -------
    int
        With the image, and gradients of parameters, but without the parameters. What a library
        needs within one operation is not known.
    """
    shapes = copy.deepcopy(model).to("meta")
    shapes.policy = policy
    with torch.device("meta"), Allocations() as seen, torch.set_grad_enabled(training):
        image = torch.empty(1, 3, size.height, size.width, memory_format=torch.channels_last)
        logits = shapes(image).logits
        if training:
            logits.sum().backward()
    peak: int = seen.peak
    return peak


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # PyTorch's
    """Sees every tensor that PyTorch makes while it is entered, and when it is gone.

    Attributes
    ----------
    alive : int
        Bytes of those that are there now.
    peak : int
        The most that there were at once.
    largest : int
        Bytes of the largest.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch's
        self.alive = self.peak = self.largest = 0
        self._known = weakref.WeakSet[Any]()

    def __torch_dispatch__(
        self,
        operation: OpOverload,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        given = {id(one.untyped_storage()) for one in tree_leaves((args, kwargs)) if _is_made(one)}
        for tensor in tree_leaves(result):
            if _is_made(tensor) and id(tensor.untyped_storage()) not in given:
                self._meet(tensor.untyped_storage())
        self.peak = max(self.peak, self.alive)
        return result

    def _meet(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.alive += size
        self.largest = max(self.largest, size)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.alive -= size


def _is_made(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided
