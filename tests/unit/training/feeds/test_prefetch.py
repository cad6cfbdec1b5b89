import threading
from contextlib import closing

import pytest

from wsikd.training.feeds.prefetch import read_ahead


def test_items_come_in_order_with_what_was_read_of_them():
    items = range(20)
    assert list(read_ahead(lambda item: item**2, items)) == [(item, item**2) for item in items]


def test_of_no_items_nothing_is_read():
    assert list(read_ahead(int, [])) == []


def test_the_next_item_and_no_other_is_read_while_one_is_worked_on():
    started = {item: threading.Event() for item in range(4)}

    def read(item):
        started[item].set()
        return item

    with closing(read_ahead(read, range(4))) as ahead:
        assert next(ahead) == (0, 0)
        assert started[1].wait(timeout=30)  # while this thread works on item 0
        assert not started[2].wait(timeout=0.05)


def test_reading_is_in_one_thread_that_is_not_the_callers():
    threads = {thread for _, thread in read_ahead(lambda _: threading.get_ident(), range(5))}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_an_error_is_raised_where_its_item_would_come():
    ahead = read_ahead(lambda item: 6 // item, [3, 2, 0, 1])
    assert [next(ahead), next(ahead)] == [(3, 2), (2, 3)]
    with pytest.raises(ZeroDivisionError):
        next(ahead)


def test_who_stops_early_leaves_no_thread_behind():
    before = threading.active_count()
    ahead = read_ahead(str, range(100))
    next(ahead)
    ahead.close()
    assert threading.active_count() == before
