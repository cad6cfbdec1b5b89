"""Progress of a training on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wsikd.terminal import is_plain
from wsikd.training.distributed import is_first

_MOMENT_S = 2.0


class Display:
    """Shows how far a run has come; of several processes the first does, the others are silent.

    Parameters
    ----------
    name : str
        Name of the run, before every line.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._console = Console(stderr=True, quiet=not is_first())
        bar = () if is_plain(sys.stderr) else (BarColumn(),)
        self._bar = Progress(
            TextColumn("{task.description}"),
            *bar,
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal or not is_first(),
        )
        self._task = self._bar.add_task(name, total=None)

    def say(self, text: str, *, of: str | None = None) -> None:
        """Write one line, below which the bar goes on; `of` another run than its own."""
        self._console.print(
            f"{of or self.name}: {text}", markup=False, highlight=False, soft_wrap=True
        )

    def restart(self, text: str, *, total: int, done: int = 0) -> None:
        """Begin a new bar."""
        self._bar.reset(self._task, total=total, completed=done, description=f"{self.name}: {text}")

    def advance(self, count: int) -> None:
        self._bar.advance(self._task, count)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


@contextmanager
def telling_if_long(name: str, doing: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far work has come, but nothing of work that is over in a moment.

    Parameters
    ----------
    name : str
        Before every line.
    doing : str
        What the work is.

    Yields
    ------
    callable
        To be told, again and again, how much is done and how much there is, in any unit.
    """
    began, display = time.monotonic(), Display(name)
    shown: int | None = None  # percent

    with ExitStack() as stack:

        def tell(done: int, there_is: int) -> None:
            nonlocal shown
            elapsed = time.monotonic() - began
            if shown is None:
                if elapsed < _MOMENT_S or done == there_is:
                    return
                stack.enter_context(display)
                display.say(f"{doing}, about {elapsed * (there_is - done) / done:.0f} s")
                display.restart(doing, total=100)
            percent = 100 * done // there_is
            display.advance(percent - (shown or 0))
            shown = percent

        yield tell
