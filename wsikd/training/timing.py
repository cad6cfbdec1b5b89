"""How long something takes on a machine."""

import time
from collections.abc import Callable

from wsikd.training.machine import Machine


def seconds_of(compute: Callable[[], object], machine: Machine, seconds: float) -> float:
    """Return the seconds of one call: of the fastest half, if there was time for several."""
    began, each = time.monotonic(), list[float]()
    compute()  # the first call sets up what the others use
    machine.wait()
    while not each or time.monotonic() - began < seconds:
        start = time.monotonic()
        compute()
        machine.wait()
        each.append(time.monotonic() - start)
    faster = sorted(each)[: (len(each) + 1) // 2]
    return sum(faster) / len(faster)
