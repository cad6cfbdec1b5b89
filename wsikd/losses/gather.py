"""Rows of all processes together, for losses that compare the items of a batch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from wsikd.errors import PeerError
from wsikd.memory import ran_out


@contextmanager
def meeting() -> Iterator[None]:
    """Exchange something with the other processes during the block.

    Raises
    ------
    PeerError
        If one of them is gone.
    """
    try:
        yield
    except RuntimeError as error:  # all that torch raises of a connection that was closed
        if ran_out(error):
            raise
        raise PeerError(
            "another process of this command has ended; run it again to go on"
        ) from error


def gather(projection: Tensor) -> Tensor:
    """Bring the rows of all processes together; without a process group they are all there is.

    Parameters
    ----------
    projection : Tensor, shape (N, D)
        Of this process; N and D are the same on every one.

    Returns
    -------
    Tensor, shape (W N, D)
        In the order of the W ranks. Gradients flow back to the process each row came from.

    Notes
    -----
    Each process gets the gradient of the sum of all processes' losses. Where all compute one loss
    of the whole batch and their parameters' gradients are averaged, as DistributedDataParallel
    does, the result is the gradient of that loss in a single process.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return projection
    gathered: Tensor = _Gather.apply(projection)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return gathered


class _Gather(Function):
    @staticmethod
    def forward(_context: FunctionCtx, projection: Tensor) -> Tensor:
        projection = projection.contiguous()
        rows = [torch.empty_like(projection) for _ in range(torch.distributed.get_world_size())]
        with meeting():
            torch.distributed.all_gather(rows, projection)
        return torch.cat(rows)

    @staticmethod
    def backward(_context: FunctionCtx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        with meeting():
            torch.distributed.all_reduce(gradient)
        return gradient.chunk(torch.distributed.get_world_size())[torch.distributed.get_rank()]
