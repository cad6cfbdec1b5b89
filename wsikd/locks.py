"""Locks between processes: the system lets go of one when its process ends, however it ends.

A lock is a file that stays, and that the system's own lock is on; its text names the process that
holds it, or held it last. On NFS it holds between machines.
"""

import errno
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from wsikd.errors import BusyError, StoreError

_FOREVER = -1.0
_FIRST_FREE = 1  # on Windows nobody else can read or write the first byte, which the lock is on
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def alone(lock: Path, told: Callable[[str], str]) -> Iterator[None]:
    """Hold a lock during the block, or refuse if another process holds it.

    Parameters
    ----------
    lock : Path
        The lock's file; made if absent, with its folder.
    told : callable
        Makes the message of the refusal from who holds the lock, such as "process 17".

    Raises
    ------
    BusyError
        If another process holds the lock.

    Examples
    --------
    >>> import tempfile
    >>> lock = Path(tempfile.mkdtemp()) / "lock"
    >>> with alone(lock, lambda holder: f"{lock}: {holder} is here; try again"):
    ...     read_holder(lock) == f"process {os.getpid()}"
    True
    """
    try:
        held = _acquire(lock, wait_s=0)
    except Timeout:
        raise BusyError(told(read_holder(lock))) from None
    with held:
        yield


@contextmanager
def in_turn(lock: Path) -> Iterator[None]:
    """Hold a lock during the block, after waiting for the process that holds it."""
    with _acquire(lock, wait_s=_FOREVER):
        yield


def read_holder(lock: Path) -> str:
    """Name the process that holds a lock, or "another process" if it is not known."""
    try:
        with lock.open("rb", buffering=0) as file:
            file.seek(_FIRST_FREE)
            pid, host = file.read().decode().split()
    except (OSError, ValueError):
        return "another process"
    return f"process {pid}" if host == platform.node() else f"process {pid} on {host}"


def _acquire(lock: Path, *, wait_s: float) -> AcquireReturnProxy[FileLock]:
    """Take a lock and write down whose it is now; it is let go of at the end of a `with`."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(lock, fallback_to_soft=False).acquire(timeout=wait_s)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise StoreError(
            f"{lock}: must be on a file system with locks, this one has none; choose a folder "
            "elsewhere, or have it mounted with them (Lustre: flock)"
        ) from None
    with suppress(OSError):  # such as a full disk: the name is a courtesy, the lock holds
        _write_holder(lock)
    return held


def _write_holder(lock: Path) -> None:
    with lock.open("r+b", buffering=0) as file:
        file.seek(_FIRST_FREE)
        file.write(f"{os.getpid()} {platform.node() or '?'}\n".encode())
        file.truncate()
