"""What every feed is: steps of some batches, in an order that depends on seed and epoch alone."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from wsikd.training.batch import Batch


class Feed(Protocol):
    """What the loop learns from and validates with."""

    def __len__(self) -> int:
        """Count the items."""

    def order(self, seed: int, epoch: int) -> list[int]:
        """Return what one epoch of training draws, in its order, by seed and epoch."""

    def steps(
        self, order: Sequence[int], per_step: int, *, epoch: int | None = None
    ) -> Iterator[Iterator[Batch]]:
        """Yield the batches of each step, of so many draws; all of one before the next.

        Without an epoch the items are as they are, in an epoch they are varied. Of several
        processes each yields its own part of every step that is learnt from.
        """

    def again(self, order: Sequence[int], epoch: int) -> Iterator[Batch]:
        """Yield the items of a step once more, in parts as small as their loss allows.

        Every process yields all of them.
        """

    def name(self, batch: Batch) -> str:
        """Name the items of a batch."""

    def lessen(self) -> bool:
        """Put fewer items into a batch from here on; tell whether a batch may be parted at all."""


def shuffle(count: int, *, seed: int, epoch: int) -> list[int]:
    """Return the order of one epoch, a function of its arguments alone.

    Examples
    --------
    >>> sorted(shuffle(4, seed=0, epoch=1))
    [0, 1, 2, 3]
    """
    return [int(index) for index in np.random.default_rng((seed, epoch)).permutation(count)]


def draw_balanced(labels: Sequence[str], *, seed: int, epoch: int) -> list[int]:
    """Return as many draws as there are labels, each class equally often.

    Like `shuffle` it is a function of its arguments alone. A class that is drawn more often than
    it has items gives each of them once before any twice. A rest that cannot be shared out evenly
    goes to classes that the epoch chooses.

    Returns
    -------
    list of int
        Draw d is of item d modulo the number of labels; a higher draw of the same item is its
        second, its third, and is to be varied in another way.

    Examples
    --------
    >>> draws = draw_balanced(["rare", "often", "often", "often"], seed=0, epoch=1)
    >>> sorted(draw % 4 for draw in draws)[:2], max(draws)
    ([0, 0], 4)
    """
    generator = np.random.default_rng((seed, epoch))
    names, places = np.unique(list(labels), return_inverse=True)
    share, rest = divmod(len(labels), len(names) or 1)
    favoured = set(generator.permutation(len(names))[:rest].tolist())
    draws: list[int] = []
    for number in range(len(names)):
        items, wanted = np.flatnonzero(places == number), share + (number in favoured)
        for turn in range(-(-wanted // len(items))):
            once = generator.permutation(items)[: wanted - turn * len(items)]
            draws += (once + turn * len(labels)).tolist()
    return [draws[place] for place in generator.permutation(len(draws))]
