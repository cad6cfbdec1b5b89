"""The worker processes that slides are given to: of this machine, or of a scheduler's."""

import logging
import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import dask
from distributed import Client, LocalCluster

from wsikd.errors import ConfigError
from wsikd.prepare.stopping import put_off

_LONGEST_S = 5.0  # for a connection within this machine
_RULES = {
    # a slide that kills its worker twice has failed; one slide at a time on each worker, so that
    # no other slide is blamed for it
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.worker-saturation": 1.0,
}


@contextmanager
def start_workers(count: int) -> Iterator[Client]:
    """Yield a client of so many new processes of this machine.

    Raises
    ------
    ConfigError
        If they cannot be started here; the message names `--workers 0`, which needs none.
    """
    _try_shared_memory()
    _try_loopback()
    with dask.config.set(_RULES):
        cluster = _start(count)
        try:
            with Client(cluster) as client:
                yield client
        finally:
            with suppress(OSError):  # such as a worker that is slow to end, which it does alone
                cluster.close()


@contextmanager
def join_scheduler(address: str, on_warning: Callable[[str], None]) -> Iterator[Client]:
    """Yield a client of a scheduler that runs already; warn if it has no workers yet."""
    with dask.config.set(_RULES), _connect(address) as client:
        if not client.scheduler_info(n_workers=1)["workers"]:
            on_warning(
                f"{address} has no workers yet, waiting for some; "
                f"start them with `dask worker {address} --nthreads 1`"
            )
        yield client


def _start(count: int) -> LocalCluster:
    try:
        with put_off():
            return LocalCluster(
                n_workers=count,
                threads_per_worker=1,  # and dask holds the libraries in it to one thread, too
                dashboard_address="127.0.0.1:0",  # None takes port 8787, which may be in use
                silence_logs=logging.CRITICAL,
            )
    except (OSError, RuntimeError) as error:
        raise _no_workers(_find_reason(error)) from None


def _find_reason(error: BaseException) -> str:
    """Return what the system refused, below what dask makes of it."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            return below.strerror.lower()
        below = below.__cause__ or below.__context__
    return " ".join(str(error).split())


def _connect(address: str) -> Client:
    try:
        return Client(address)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--scheduler must be the address of a dask scheduler, got {address!r} ({reason}); "
            "start one with `dask scheduler` and give the address that it prints"
        ) from None


def _try_shared_memory() -> None:
    """Make a lock of worker processes: in shared memory, of which containers have little."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError) as error:  # without any, Python has no such locks
        reason = getattr(error, "strerror", None) or str(error)
        raise _no_workers(
            f"no shared memory in /dev/shm, {reason.lower()}",
            "give the container more with --shm-size 1g, or ",
        ) from None


def _try_loopback() -> None:
    """Connect to this machine as its workers will, which would wait for ever where they cannot."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(_LONGEST_S)
            with socket.create_connection(server.getsockname(), timeout=_LONGEST_S):
                server.accept()[0].close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _no_workers(
            f"127.0.0.1, by which they are told of slides, is not reached, {reason}",
            "allow this machine to connect to itself, or ",
        ) from None


def _no_workers(reason: str, remedy: str = "") -> ConfigError:
    return ConfigError(f"--workers: cannot start processes ({reason}); {remedy}use --workers 0")
