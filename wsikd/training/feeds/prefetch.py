"""Reading ahead: the next batch is read while the network works on this one."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")


def read_ahead(read: Callable[[Item], Read], items: Iterable[Item]) -> Iterator[tuple[Item, Read]]:
    """Yield each item with what was read of it, while a thread reads the next one.

    Parameters
    ----------
    read : callable
        Called in a thread of its own, for one item after the other. An error is raised where its
        item would be yielded.
    items : iterable
        In the order they are read.

    Examples
    --------
    >>> list(read_ahead(len, ["a", "bc"]))
    [('a', 1), ('bc', 2)]
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = ((item, reader.submit(read, item)) for item in items)
        now = next(coming, None)
        while now is not None:
            item, pending = now
            found = pending.result()
            now = next(coming, None)
            yield item, found
