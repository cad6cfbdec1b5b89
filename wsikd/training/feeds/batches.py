"""What every feed is: batches of named views, in an order that depends on seed and epoch alone."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

Views = dict[str, Tensor]


class Batches(Protocol):
    """What the loop learns from and validates with."""

    def __len__(self) -> int:
        """Count the items."""

    def order(self, seed: int, epoch: int) -> list[int]:
        """Return the items of one epoch of training in their order, by seed and epoch."""

    def batches(self, order: Sequence[int], *, epoch: int | None = None) -> Iterator[Views]:
        """Yield the items in this order; without an epoch they are not augmented."""

    def name(self, batch: Views) -> str:
        """Name the items of a batch."""


def shuffle(count: int, *, seed: int, epoch: int) -> list[int]:
    """Return the order of one epoch, a function of its arguments alone.

    Examples
    --------
    >>> sorted(shuffle(4, seed=0, epoch=1))
    [0, 1, 2, 3]
    """
    return [int(index) for index in np.random.default_rng((seed, epoch)).permutation(count)]
