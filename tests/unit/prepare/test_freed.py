import ctypes
import os
import subprocess
import sys

import pytest

# as a worker of dask is started, and as its thread works: arrays of 8 MiB, used and freed
WORK = """
import resource, sys, threading
import numpy as np
from wsikd.prepare.freed import keep_freed_memory

def use():
    for _ in range(20):
        np.ones(2**23, np.uint8)

def count():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if "keep" in sys.argv:
    keep_freed_memory()
before = count()
thread = threading.Thread(target=use)
thread.start()
thread.join()
print(count() - before)
"""


def count_page_faults(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", WORK, *arguments],
        env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536", "NUMPY_MADVISE_HUGEPAGE": "0"},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc"
)
def test_what_was_freed_is_used_again_even_under_dasks_nanny():
    pages = 2**23 // os.sysconf("SC_PAGE_SIZE")
    assert count_page_faults() > 15 * pages
    assert count_page_faults("keep") < 3 * pages
