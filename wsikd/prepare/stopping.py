"""SIGINT, SIGTERM and SIGHUP, heeded also where a library swallows what their handlers raise."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Stopping:
    """Remembers that a signal came, beside what its handler does.

    The handlers of the command line raise. A decoder that is called back, or one that takes every
    exception for damage, can lose that, and the signal would end one slide in place of the batch.
    Signals whose handler is the system's are left to it, and outside the main thread, where Python
    delivers none, nothing is caught.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if callable(before):
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def check(self) -> None:
        """Raise what the handler of the signal raises, if one came."""
        if self._number is not None:
            self._before[self._number](self._number, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        self._before[number](number, frame)


@contextmanager
def put_off() -> Iterator[None]:
    """Heed signals at the end of the block only, and keep SIGINT from the processes begun in it.

    Ctrl-C reaches all processes of a terminal. Workers that it ended would say so, each in many
    lines; they are ended by the process that began them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        if callable(before[number]):
            signal.signal(number, lambda number, _frame: came.append(number))
    has_masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if has_masks else set()
    try:
        yield
    finally:
        if has_masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
