"""Locks between processes: the system lets go of one when its process ends, however it ends.

A lock is a file that stays, and that the system's own lock is on; its text names the process that
holds it, or held it last. On NFS it holds between machines.

Where a file system has no locks, a second file beside it, `<lock>.held`, stands in: who makes it
holds the lock, and removes it. That of a process which was killed is taken over on its own machine;
other machines cannot tell that it is gone and are told which file to remove.
"""

import errno
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, SoftFileLock, Timeout

from wsikd.errors import BusyError

_FOREVER = -1.0
_STAND_IN_S = 120.0  # a stand-in may be left of a process that ended on another machine
_FIRST_FREE = 1  # on Windows nobody else can read or write the first byte, which the lock is on
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)

Held = AcquireReturnProxy[FileLock] | AcquireReturnProxy[SoftFileLock]


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
        raise BusyError(told(read_holder(lock)) + _if_left(lock)) from None
    with held:
        yield


@contextmanager
def in_turn(lock: Path) -> Iterator[None]:
    """Hold a lock during the block, after waiting for the process that holds it.

    Raises
    ------
    BusyError
        If a stand-in of another machine stays for minutes, as its process may have ended.
    """
    try:
        held = _acquire(lock, wait_s=_FOREVER)
    except Timeout:
        holder = read_holder(lock)
        raise BusyError(f"{lock}: held by {holder}; try again later{_if_left(lock)}") from None
    with held:
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


def has_locks(lock: Path) -> bool:
    """Tell whether the file system of a file that can be made has locks of the system's own."""
    try:
        _acquire_native(lock, wait_s=0).lock.release()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _acquire(lock: Path, *, wait_s: float) -> Held:
    """Take a lock and write down whose it is now; it is let go of at the end of a `with`."""
    try:
        held: Held = _acquire_native(lock, wait_s=wait_s)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        longest = _STAND_IN_S if wait_s == _FOREVER else wait_s
        held = SoftFileLock(_stand_in(lock)).acquire(timeout=longest)
    with suppress(OSError):  # such as a full disk: the name is a courtesy, the lock holds
        _write_holder(lock)
    return held


def _acquire_native(lock: Path, *, wait_s: float) -> AcquireReturnProxy[FileLock]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(lock, fallback_to_soft=False).acquire(timeout=wait_s)


def _stand_in(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.held")


def _if_left(lock: Path) -> str:
    """Return what to do about a stand-in of another machine, whose process may be dead."""
    is_elsewhere = " on " in read_holder(lock)
    if not (is_elsewhere and _stand_in(lock).exists()):
        return ""
    return f", or remove {_stand_in(lock)} if that process has ended"


def _write_holder(lock: Path) -> None:
    with lock.open("r+b", buffering=0) as file:
        file.seek(_FIRST_FREE)
        file.write(f"{os.getpid()} {platform.node() or '?'}\n".encode())
        file.truncate()
