"""What is done when memory runs out: smaller batches, then slower ways to compute a network."""

from collections.abc import Callable
from dataclasses import dataclass

from wsikd.errors import TooLargeError
from wsikd.memory import fits
from wsikd.training.batch import Batch
from wsikd.training.feeds.batches import Feed
from wsikd.training.machine import Machine


@dataclass(frozen=True)
class Means:
    """What can be changed to take less memory.

    Attributes
    ----------
    feed : Feed
        Yields the batches.
    machine : Machine, optional
        Computes the networks; without it they are computed in one way alone.
    say : callable
        Told what is changed.
    """

    feed: Feed
    machine: Machine | None
    say: Callable[[str], None]

    def compute(self, batch: Batch, compute: Callable[[Batch], None]) -> None:
        """Compute something of a batch, as a whole or in the parts that memory allows.

        Parameters
        ----------
        batch : Batch
            Of the feed.
        compute : callable
            Changes nothing where it raises.

        Raises
        ------
        TooLargeError
            If one item is too much, however it is computed.
        """
        parts = [batch]
        while parts:
            if fits(compute, parts[0]):
                del parts[0]
            else:
                parts[:1] = self._relent(parts[0])

    def _relent(self, batch: Batch) -> list[Batch]:
        """Change what takes less memory, and return what is to be computed then."""
        name = self.feed.name(batch)
        if self.machine is not None:
            self.machine.clear()
        if len(batch) > 1 and self.feed.lessen():
            self.say(f"{name}: memory ran out; batches have half the pixels from here on")
            return batch.halves()
        if self.machine is None:
            raise TooLargeError(
                f"{name}: needs more memory than there is; take fewer at once (--batch), smaller "
                "images or a smaller --model"
            )
        self.say(self.machine.relent(name))
        return [batch]
