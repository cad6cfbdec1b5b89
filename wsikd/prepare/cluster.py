"""The worker processes of this machine that slides are given to."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

_RULES = {
    # a slide that kills its worker twice has failed; one slide at a time on each worker, so that
    # no other slide is blamed for it
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.worker-saturation": 1.0,
}


@contextmanager
def start_workers(count: int) -> Iterator[Client]:
    """Yield a client of so many new processes of this machine."""
    with (
        dask.config.set(_RULES),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,  # and dask holds the libraries in it to one thread, too
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
