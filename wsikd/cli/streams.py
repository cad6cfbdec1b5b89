"""Standard output and error: their reader has gone, their disk is full, or they are closed."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from wsikd.cli.console import say

CLOSED = 141
"""Exit status where the reader of the output has gone, as in `wsikd doctor | head -1`.

It is 128 plus SIGPIPE: what a shell tells of other programs then, so scripts know it already.
"""


def open_closed() -> None:
    """Let a stream that the shell closed, for which Python has None, go nowhere."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def say_if_heard(text: str) -> None:
    """Print what is going on; work of hours goes on where nobody can be told of it any more.

    That is so if the reader of standard error has gone, such as a terminal, or its disk is full.
    """
    try:
        say(text)
    except OSError:
        _silence(sys.stderr)


def find_broken() -> OSError | None:
    """Return why standard output or error cannot be written, or None; a broken one is silenced.

    An error that names no file may come from anywhere. What is known is the stream, so it is asked:
    by a line, as a stream without a buffer has nothing left to flush.
    """
    for stream, name in ((sys.stdout, "standard output"), (sys.stderr, "standard error")):
        try:
            print(file=stream, flush=True)
        except OSError as error:
            error.filename = name
            _silence(stream)
            return error
    return None


def _silence(stream: TextIO) -> None:
    """Let a stream go nowhere, so that Python's flush at exit does not fail again."""
    with suppress(OSError):  # a stand-in that no file is behind
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
