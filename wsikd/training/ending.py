"""How several processes end: all with one status, and one of them says why.

A process that fails closes its connections when it ends, and the others notice that when they meet
it next. So nothing has to be agreed on in between; only who speaks has to.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Protocol

from wsikd.errors import PeerError, ToldError, WsikdError, exit_status_of
from wsikd.memory import ran_out

_PATIENCE = timedelta(seconds=10)  # until a process that has failed, if it lives, has said so


class Store(Protocol):
    """What processes share, as `torch.distributed.Store` is; a `RuntimeError` if it is gone."""

    def add(self, key: str, amount: int, /) -> int:
        """Add to a number, 0 at first, and return it."""

    def set(self, key: str, value: str, /) -> None:
        """Keep a value."""

    def get(self, key: str, /) -> bytes:
        """Return a value."""

    def wait(self, keys: list[str], timeout: timedelta, /) -> None:
        """Wait until there is a value."""


@contextmanager
def one_voice(store: Store) -> Iterator[None]:
    """Let one of several processes that fail during the block raise its error.

    Those that fail because another one did leave the word to that one, unless it says nothing, as
    one that was killed. SIGTERM is ignored from then on: the launcher sends it to all as soon as
    the first has ended, where they are about to end by themselves.

    Parameters
    ----------
    store : Store
        Of their own, which all of them share.

    Raises
    ------
    ToldError
        In all others that fail, or are made to.
    """
    try:
        yield
    except Exception as error:
        _ignore_term()
        _raise_if_told(store, error)
        raise
    except KeyboardInterrupt as error:  # a signal; StoppedError is one, too
        _ignore_term()
        _raise_if_told(store, error)
        raise


def _raise_if_told(store: Store, error: BaseException) -> None:
    with suppress(RuntimeError):  # the store has gone with the first process, or nobody told
        if isinstance(error, PeerError):
            store.wait(["status"], _PATIENCE)
    status = WsikdError.exit_status if ran_out(error) else exit_status_of(error)
    with suppress(RuntimeError):
        if store.add("speakers", 1) == 1:
            store.set("status", str(status))
            return
        store.wait(["status"], _PATIENCE)
        status = int(store.get("status"))
    raise ToldError(status) from None


def _ignore_term() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
