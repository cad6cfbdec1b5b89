"""How much memory a program may still take, and its running out."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

_CONTROL = Path("/sys/fs/cgroup")

_WORDS = (
    "out of memory",  # CUDA
    "ALLOC_FAILED",  # its libraries
    "can't allocate memory",  # CPUs
    "bad_alloc",
    "could not create a primitive",  # oneDNN
    "can't start new thread",  # nor its stack
    "Cannot allocate memory",  # the system
)


class _Names(NamedTuple):
    """Files of a control group, relative to the folder, and how its cache is called in them."""

    limit: str
    used: str
    stat: str
    cache: str


_KNOWN = (
    _Names("memory.max", "memory.current", "memory.stat", "inactive_file"),
    _Names(
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)
"""Of the second and the first version."""


def free_memory(control: Path = _CONTROL) -> int:
    """Return how many bytes can be taken without anything being put out to disk or ended.

    A container is often given less than the machine has, and what takes more is killed there.

    Parameters
    ----------
    control : Path
        Folder of the control group.
    """
    import psutil  # noqa: PLC0415  what trains, plans and examines needs it alone

    return min([int(psutil.virtual_memory().available), *_left_by(control)])


def fits(compute: Callable[[Item], None], item: Item) -> bool:
    """Compute something; tell whether there was memory for it. What was made for it is gone."""
    try:
        compute(item)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        return False
    return True


def ran_out(error: BaseException) -> bool:
    """Tell whether an error, such as PyTorch's, is about memory."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _WORDS)


def _left_by(control: Path) -> list[int]:
    """Return what a control group leaves; nothing if there is none, or no limit."""
    for names in _KNOWN:
        try:
            limit = int((control / names.limit).read_text())
            used = int((control / names.used).read_text())
            lines = (control / names.stat).read_text().splitlines()
        except (OSError, ValueError):  # no such group; "max" is no limit
            continue
        stat = dict(line.split(maxsplit=1) for line in lines)
        return [max(0, limit - used + int(stat.get(names.cache, "0")))]
    return []
