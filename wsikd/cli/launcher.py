"""Starting a command in several processes that share its work, one for each GPU."""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from wsikd.cli.console import say
from wsikd.errors import ConfigError, ToldError
from wsikd.training.device import choose_device

_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")
_PATIENCE_S = 120  # for a clean checkpoint, before what is left is killed


def launch_processes(count: int, arguments: Sequence[str], device: str) -> int:
    """Carry out a command in several processes of this machine, which tell what there is to tell.

    Parameters
    ----------
    count : int
        How many.
    arguments : sequence of str
        What follows `wsikd`.
    device : str
        As in `RunSettings`: on CUDA each process gets a GPU of its own.

    Returns
    -------
    int
        0.

    Raises
    ------
    ConfigError
        If there are not as many GPUs; processes on the CPU have to be asked for.
    ToldError
        If the command failed, with its status.
    """
    _refuse_fewer(count, device)
    try:
        with _quiet(), _cores_shared(count), _signals_restored(), TemporaryDirectory() as folder:
            config = LaunchConfig(
                min_nodes=1,
                max_nodes=1,
                nproc_per_node=count,
                run_id=str(uuid.uuid4()),
                rdzv_backend="c10d",
                rdzv_endpoint="localhost:0",  # a port that is free
                local_addr="localhost",
                max_restarts=0,
                logs_specs=DefaultLogsSpecs(log_dir=folder),
                signals_to_handle=",".join(_heeded()),
                shutdown_timeout=_PATIENCE_S,
            )
            elastic_launch(config, sys.executable)("-m", "wsikd", *arguments)
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        raise ToldError(_status(codes, count)) from None
    except SignalException as error:
        raise ToldError(128 + error.sigval) from None
    return 0


def _refuse_fewer(count: int, device: str) -> None:
    if choose_device(device).type == "cuda":
        there_are = torch.cuda.device_count()
    else:
        there_are = count if device == "cpu" else 0
    if there_are < count:
        remedy = f"say --gpus {there_are}" if there_are else "leave it out"
        raise ConfigError(
            f"--gpus must be at most the {there_are} GPUs of this machine, got {count}; {remedy}, "
            "or say --device cpu for as many processes without a GPU"
        )


def _status(codes: dict[int, int], count: int) -> int:
    """Return the exit status of processes that failed, a negative one of those that were killed."""
    # the launcher sends SIGTERM to those that are left when one has ended
    killed = {rank: code for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM}
    if not killed:
        return max(*codes.values(), 1)
    rank, code = next(iter(killed.items()))
    name = signal.Signals(-code).name
    say(f"wsikd: process {rank} of {count} was ended by {name}; run the same command to go on")
    return 128 - code


def _heeded() -> list[str]:
    """Name the signals that are passed on; not those that the user has ignored, as nohup does."""
    names = [name for name in _SIGNALS if hasattr(signal, name)]
    return [name for name in names if signal.getsignal(getattr(signal, name)) != signal.SIG_IGN]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's launcher from telling in its own words what the processes have told."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _cores_shared(count: int) -> Iterator[None]:
    """Let each process compute with its share of the cores, unless the user has said how many."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // count))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


@contextmanager
def _signals_restored() -> Iterator[None]:
    before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
