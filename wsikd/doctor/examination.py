"""All that is looked at, in order."""

from collections.abc import Iterator
from pathlib import Path

from wsikd.doctor.codecs import look_at_codecs
from wsikd.doctor.finding import Finding
from wsikd.doctor.machine import look_at_files, look_at_gpu, look_at_memory, look_at_workspace
from wsikd.doctor.packages import look_at_openslide, look_at_packages
from wsikd.doctor.selftest import try_a_slide


def examine(workspace: Path) -> Iterator[Finding]:
    """Look at packages, machine and workspace, then try the way of a small slide.

    Parameters
    ----------
    workspace : Path
        Where wsikd shall work; it need not exist yet, and nothing is left in it.

    Yields
    ------
    Finding
        As soon as each is known; the last takes some seconds.
    """
    yield from look_at_packages()
    yield look_at_openslide()
    yield look_at_codecs()
    yield look_at_gpu()
    yield from look_at_memory()
    yield from look_at_files()
    yield from look_at_workspace(workspace)
    yield try_a_slide()
