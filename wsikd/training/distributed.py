"""One training in several processes, as torchrun starts them; each has a rank from 0.

Every process holds the whole model and reads its part of each batch; gradients are averaged before
each step, so that the models stay equal. The process of rank 0 alone writes and speaks. Without a
group of processes, which `joined` forms, every function here does nothing.

Notes
-----
Gradients are averaged in one go after the backward pass, and not by DistributedDataParallel: that
wants a single call of one `forward` per step, where here two branches are called in turn and their
projections meet in between, and it would have to be told about accumulated batches. What it would
save, the time to average while gradients are still computed, is some milliseconds per step.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed

# Imported while there is a group, as torch does by itself, its default arguments would keep the
# group and its threads alive until Python ends, which then aborts now and then.
import torch.distributed.nn
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from wsikd.errors import BusyError, CheckpointError, ConfigError, PeerError
from wsikd.losses.gather import meeting
from wsikd.runs import RunFolder
from wsikd.training.device import choose_device
from wsikd.training.ending import one_voice

Value = TypeVar("Value")

_FROM_TORCHRUN = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_FOREVER = timedelta(days=30)  # the first may work alone for long; one that ends is noticed at once


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Form a group of the processes that torchrun started; a single one needs none.

    If they fail, one of them raises its error and the others `ToldError`. A process forms one group
    in its life.

    Parameters
    ----------
    device : str
        As in `RunSettings`; on CUDA each process gets a GPU of its own.

    Raises
    ------
    ConfigError
        If the processes cannot have a GPU each, or were not started by torchrun.
    ToldError
        If another process tells why all end.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield
        return
    missing = [name for name in _FROM_TORCHRUN if name not in os.environ]
    if missing:
        raise ConfigError(f"WORLD_SIZE is set but {missing[0]} is not; start with torchrun")
    backend = _choose_backend(device)
    store, own_rank, count = next(rendezvous("env://"))
    with one_voice(PrefixStore("voice", store)):
        torch.distributed.init_process_group(
            backend,
            store=PrefixStore("group", store),
            rank=own_rank,
            world_size=count,
            timeout=_FOREVER,
        )
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()


def process_count() -> int:
    """Count the processes that train together."""
    return torch.distributed.get_world_size() if _is_joined() else 1


def process_count_here() -> int:
    """Count those of them that run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if _is_joined() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return torch.distributed.get_rank() if _is_joined() else 0


def is_first() -> bool:
    """Tell whether this process is the one that writes to disk and to the user."""
    return rank() == 0


def part_of(batch: list[int]) -> list[int]:
    """Return the rows of a batch for this process: as many for each, in the order of ranks.

    Where they cannot be dealt evenly, some have one more.

    Examples
    --------
    >>> part_of([3, 1, 2, 0])
    [3, 1, 2, 0]
    """
    count, number = process_count(), rank()
    return batch[number * len(batch) // count : (number + 1) * len(batch) // count]


def refuse_uneven(batch: int) -> None:
    """Refuse a batch that cannot be dealt to the processes evenly.

    Raises
    ------
    ConfigError
    """
    if batch % process_count():
        raise ConfigError(
            f"--batch must be a multiple of the {process_count()} processes, got {batch}"
        )


def refuse_unequal(steps: int, place: object) -> None:
    """Refuse to begin where the processes have not found the same state.

    Raises
    ------
    CheckpointError
        On all of them.
    """
    lowest, highest = -largest(-steps), largest(steps)
    if lowest != highest:
        raise CheckpointError(
            f"{place}: must be the same for all processes, is after {lowest} steps for one and "
            f"{highest} for another; put the workspace on a disk that all share"
        )


@contextmanager
def first_alone() -> Iterator[None]:
    """Let the process of rank 0 do something before the others do the same.

    Raises
    ------
    PeerError
        In the others, instead of doing it, if the first fails.
    """
    if not is_first():
        if largest(0):
            raise PeerError("the first process could not go on; run the same command")
        yield
        return
    try:
        yield
    except BaseException:
        largest(1)
        raise
    largest(0)


@contextmanager
def held_by_first(run: RunFolder) -> Iterator[None]:
    """Keep other trainings from a run during the block; the first process holds its lock.

    Raises
    ------
    BusyError
        If it is held by others; in the first process.
    PeerError
        If so, in the others.
    """
    with ExitStack() as stack:
        busy: BusyError | None = None
        if is_first():
            try:
                stack.enter_context(run.alone())
            except BusyError as error:
                busy = error
        if largest(busy is not None):
            raise busy or PeerError(f"{run.path}: another process is writing to it; try again")
        yield


def wait() -> None:
    """Wait until all processes have come here."""
    largest(0)


def largest(number: int) -> int:
    """Return, in every process, the largest number that any of them has."""
    if process_count() == 1:
        return number
    shared = torch.tensor(number)
    with meeting():
        torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
    return int(shared)


def gathered(value: Value) -> list[Value]:
    """Return, in the first process, what each of them has, in the order of ranks.

    In the others it is empty.
    """
    if process_count() == 1:
        return [value]
    of_each: list[Value] | None = [value] * process_count() if is_first() else None
    with meeting():
        torch.distributed.gather_object(value, of_each)
    return of_each or []


def from_first(compute: Callable[[], Value]) -> Value:
    """Compute something in the first process alone, and return it in all of them.

    Raises
    ------
    PeerError
        In the others, if the first fails.
    """
    if process_count() == 1:
        return compute()
    found: list[Value | None] = [None]
    with first_alone():
        if is_first():
            found = [compute()]
    with meeting():
        torch.distributed.broadcast_object_list(found)
    return found[0]  # type: ignore[return-value]  # no longer what it was before


def sum_over_processes(values: dict[str, float]) -> dict[str, float]:
    """Return, in every process, the sums of their numbers by name; a process may lack some."""
    if process_count() == 1:
        return values
    of_each: list[dict[str, float]] = [{} for _ in range(process_count())]
    with meeting():
        torch.distributed.all_gather_object(of_each, values)
    names = dict.fromkeys(name for one in of_each for name in one)
    return {name: sum(one.get(name, 0.0) for one in of_each) for name in names}


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over the processes; one that has none counts as zero."""
    weights = [weight for weight in parameters if weight.requires_grad]
    if process_count() == 1 or not weights:
        return
    has = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.int32)
    with meeting():
        torch.distributed.all_reduce(has, torch.distributed.ReduceOp.MAX)
    used = [weight for weight, any_has in zip(weights, has.tolist(), strict=True) if any_has]
    for weight in used:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    gradients = [weight.grad for weight in used if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    with meeting():
        torch.distributed.all_reduce(flat)
    flat /= process_count()
    means = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view(gradient.shape))


def _is_joined() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _choose_backend(name: str) -> str:
    device = choose_device(name)
    if device.type != "cuda":
        return "gloo"
    if device.index is not None:
        raise ConfigError(f"--device must be auto, cuda or cpu with several processes, got {name}")
    here, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if here >= count:
        raise ConfigError(f"each process must have a GPU, there are {count}; start fewer processes")
    torch.cuda.set_device(here)  # what "cuda" means from here on
    return "cpu:gloo,cuda:nccl"
