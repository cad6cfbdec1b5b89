"""Freed memory stays with the process: taking it anew costs more than what is done in it.

A strip of a slide is tens of MiB, and so is what is made of it. glibc hands freed blocks of that
size back to the system, which gives them out again page by page, each of them wiped. dask's nanny
makes it worse: it has a worker hand back whatever is more than 64 KiB, and `prepare` take 1.6 times
as long.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt(3)
_KEPT_BYTES = 256 * 2**20
_LARGEST_ON_HEAP = 32 * 2**20  # the most that glibc accepts


def keep_freed_memory() -> None:
    """Let this process keep up to 256 MiB that it has freed, where its libc is glibc."""
    if sys.platform != "linux":
        return
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_TRIM_THRESHOLD, _KEPT_BYTES)
        tune(_MMAP_THRESHOLD, _LARGEST_ON_HEAP)
