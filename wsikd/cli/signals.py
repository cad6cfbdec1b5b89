"""Signals, heeded however a command was started."""

import signal
from types import FrameType
from typing import NoReturn

from wsikd.errors import StoppedError


def heed_signals() -> None:
    """Let SIGTERM and SIGINT end the work cleanly, however the process was started.

    A script starts what it puts in the background with SIGINT ignored, and Python then leaves it
    so. But training heeds it in any case, so the rest of the program does, too. SIGHUP comes when a
    terminal is closed, unless `nohup` has it ignored.
    """
    signal.signal(signal.SIGTERM, _stop)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _stop)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise StoppedError("stopped; run the same command to go on", number)
