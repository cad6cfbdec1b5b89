"""Reading ahead: what comes next is read while the network works on this."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")


def read_ahead(
    read: Callable[[Item], Read],
    items: Iterable[Item],
    *,
    threads: int = 1,
    cost: Callable[[Item], int] = lambda _item: 1,
    limit: int = 1,
) -> Iterator[tuple[Item, Read]]:
    """Yield each item with what was read of it, in their order, while threads read the next ones.

    Parameters
    ----------
    read : callable
        Called in threads. An error is raised where its item would be yielded.
    items : iterable
        In the order they are read.
    threads : int
        How many; 0 reads an item when it is asked for.
    cost : callable
        What an item takes of the limit, such as its bytes.
    limit : int
        How much is read ahead: items are, until their costs reach it. One always is.

    Examples
    --------
    >>> list(read_ahead(len, ["a", "bc"]))
    [('a', 1), ('bc', 2)]
    """
    if threads == 0:
        for item in items:
            yield item, read(item)
        return
    pool = ThreadPoolExecutor(threads)
    ahead = _Ahead(read, iter(items), pool, cost, limit)
    try:
        ahead.fill()
        while ahead:
            item, found = ahead.take()
            ahead.fill()
            yield item, found
    finally:
        pool.shutdown(cancel_futures=True)


class _Ahead(Generic[Item, Read]):
    """What is being read."""

    def __init__(
        self,
        read: Callable[[Item], Read],
        coming: Iterator[Item],
        pool: ThreadPoolExecutor,
        cost: Callable[[Item], int],
        limit: int,
    ) -> None:
        self._read, self._coming, self._pool = read, coming, pool
        self._cost, self._limit, self._taken = cost, limit, 0
        self._waiting: deque[tuple[Item, Future[Read]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def fill(self) -> None:
        for item in self._coming if self._has_room() else ():
            self._waiting.append((item, self._pool.submit(self._read, item)))
            self._taken += self._cost(item)
            if not self._has_room():
                return

    def take(self) -> tuple[Item, Read]:
        item, reading = self._waiting.popleft()
        found = reading.result()
        self._taken -= self._cost(item)
        return item, found

    def _has_room(self) -> bool:
        return self._taken < self._limit or not self._waiting
