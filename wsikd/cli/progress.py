"""Progress of `wsikd prepare`: one line that changes on a terminal, a line per slide elsewhere."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TimeElapsedColumn
from rich.text import Text

from wsikd.cli.streams import say_if_heard
from wsikd.hashing import source_files
from wsikd.prepare import SlideStatus
from wsikd.terminal import is_plain
from wsikd.words import counted, time_text


class BatchProgress:
    """Shows how far a batch of slides has come, how fast it is and how long it will take.

    To be used in a `with`. On a terminal only what failed or warns is written down, above the line
    that changes.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._pace = Pace(())
        self._line = Progress(
            *(() if is_plain(sys.stderr) else (BarColumn(20),)),
            _Told(self._describe),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._line.add_task("")

    def expect(self, files: Sequence[Path]) -> None:
        """Begin with slides of these files."""
        self._pace = Pace([_bytes_of(path) for path in files])
        self._line.update(self._task, total=len(files))
        self._line.start()

    def say(self, text: str) -> None:
        """Write one line, below which the other goes on."""
        if self._console.is_terminal:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            say_if_heard(text)

    def __call__(self, status: SlideStatus) -> None:
        """Take the outcome of a slide."""
        self._pace.add(status, _bytes_of(Path(status.path)))
        self._line.update(self._task, completed=self._pace.count)
        is_quiet = self._console.is_terminal and status.status != "failed" and not status.warnings
        if not is_quiet:
            self.say(f"[{self._pace.count}/{self._pace.total}] {self._tell(status)}")
        for warning in filter(None, status.warnings.split("; ")):
            self.say(f"    warning: {warning}")

    def _describe(self) -> str:
        return self._pace.describe()

    def _tell(self, status: SlideStatus) -> str:
        named = f"{status.slide_id}: {status.status}"
        if status.error:
            return f"{named}, {status.error}"
        told = f"{named}, {counted(status.regions, 'region')}, {status.seconds:.1f} s"
        pace = "" if self._console.is_terminal else self._pace.describe_speed()
        return f"{told}; {pace}" if pace else told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.stop()


class Pace:
    """How fast a batch is, and by that how long it will take; slides count by their bytes.

    Slides that were complete take next to no time, and so say nothing of the others.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of every slide.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.total, self.count, self.regions = len(sizes), 0, 0
        self._start = time.monotonic()
        self._bytes_left, self._bytes_worked, self._megapixels = sum(sizes), 0, 0.0
        self._speed, self._end = 0.0, self._start

    def add(self, status: SlideStatus, size: int) -> None:
        """Take the outcome of a slide of so many bytes."""
        now = time.monotonic()
        elapsed = max(now - self._start, 1e-3)
        self.count += 1
        self._bytes_left -= size
        if status.status in ("done", "skipped"):
            self.regions += status.regions
        if status.status in ("done", "failed"):
            self._bytes_worked += size
        if status.status == "done":
            self._megapixels += status.megapixels
        self._speed = self._megapixels / elapsed
        self._end = now + elapsed * self._bytes_left / max(1, self._bytes_worked)

    def describe(self) -> str:
        """Tell how many slides and regions there are already, the speed and the time left."""
        if self.count == 0:
            return counted(self.total, "slide")
        slides = f"{self.count:,}/{counted(self.total, 'slide')}"
        parts = [slides, counted(self.regions, "region"), self.describe_speed()]
        return ", ".join(filter(None, parts))

    def describe_speed(self) -> str:
        """Tell the pixels a second and the time left; nothing while nothing is known of them."""
        parts = []
        if self._speed:
            parts.append(f"{self._speed:.3g} MPix/s")
        if self._bytes_worked and self.count < self.total:
            parts.append(f"{time_text(max(0.0, self._end - time.monotonic()))} left")
        return ", ".join(parts)


class _Told(ProgressColumn):
    """What a function returns now, as the time left passes while a slide is being prepared."""

    def __init__(self, tell: Callable[[], str]) -> None:
        super().__init__()
        self._tell = tell

    def render(self, task: Task) -> Text:  # noqa: ARG002  what rich asks for
        return Text(self._tell())


def _bytes_of(path: Path) -> int:
    """Return how large a slide is; 0 where that is not known, as of one that is gone."""
    try:
        return sum(file.stat().st_size for file in source_files(path))
    except OSError:
        return 0
