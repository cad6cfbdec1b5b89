"""How several processes end: all with one status, and one of them says why.

A process that fails closes its connections when it ends, and the others notice that when they meet
it next. So nothing has to be agreed on in between; only who speaks has to.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from wsikd.errors import PeerError, ToldError, WsikdError, exit_status_of
from wsikd.memory import ran_out

_PATIENCE_S = 3.0  # until a process that has failed, if it lives, has said so
_PAUSE_S = 0.05


class Store(Protocol):
    """What processes share, as `torch.distributed.Store` is; a `RuntimeError` if it is gone."""

    def add(self, key: str, amount: int, /) -> int:
        """Add to a number, 0 at first, and return it."""

    def set(self, key: str, value: str, /) -> None:
        """Keep a value."""

    def get(self, key: str, /) -> bytes:
        """Return a value."""

    def check(self, keys: list[str], /) -> bool:
        """Tell whether there are values."""


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
    except (Exception, KeyboardInterrupt) as error:  # StoppedError is the latter
        _ignore_term()
        _raise_if_told(store, error)
        raise


def _raise_if_told(store: Store, error: BaseException) -> None:
    with suppress(RuntimeError):  # the store has gone with the first process
        if isinstance(error, PeerError):
            _is_told(store)
    status = WsikdError.exit_status if ran_out(error) else exit_status_of(error)
    with suppress(RuntimeError):
        if store.add("speakers", 1) == 1:
            store.set("status", str(status))
            return
        if _is_told(store):
            status = int(store.get("status"))
    raise ToldError(status) from None


def _is_told(store: Store) -> bool:
    """Tell, after some patience, whether a process has taken the word."""
    latest = time.monotonic() + _PATIENCE_S
    while not store.check(["status"]):
        if time.monotonic() > latest:
            return False
        time.sleep(_PAUSE_S)
    return True


def _ignore_term() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
