"""The most memory this process has had; the one place that asks the system in its own words."""

import sys

import psutil

_MIB = 2**20


def peak_mib() -> int:
    """Read the largest memory of this process up to now, in MiB.

    Notes
    -----
    psutil knows the peak on Windows only, and elsewhere what is used now; there it is the system's
    `getrusage`, which Linux counts in KiB and macOS in bytes.
    """
    if sys.platform == "win32":
        peak: int = psutil.Process().memory_info().peak_wset
        return peak // _MIB
    import resource  # noqa: PLC0415  not on Windows

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest // (_MIB if sys.platform == "darwin" else 1024)
