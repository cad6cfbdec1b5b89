"""The losses of many batches, which are fetched from the device once per step."""

import math

import torch
from torch import Tensor

from wsikd.training.distributed import sum_over_processes

_ITEMS = "items"  # how many had terms, among their sums

Sums = dict[str, float]
"""Loss and terms, each summed over the items that had any, and how many these were."""


class Tally:
    """Collects what a step function returned; nothing waits for the device before `take`."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._names: list[tuple[str, ...]] = []
        self._values: list[Tensor] = []

    def add(self, terms: dict[str, Tensor], loss: Tensor, count: int) -> None:
        """Add the terms of a batch of so many items, and their sum."""
        self._counts.append(count)
        self._names.append(("loss", *terms))
        self._values.append(torch.stack([loss, *terms.values()]).detach())

    def take(self) -> Sums:
        """Return the sums since the last call, of all processes together."""
        values: list[float] = torch.cat(self._values).tolist() if self._values else []
        sums: Sums = {}
        for count, names in zip(self._counts, self._names, strict=True):
            add(sums, {_ITEMS: count, **{name: values.pop(0) * count for name in names}})
        self._counts, self._names, self._values = [], [], []
        return sum_over_processes(sums)


def total(terms: dict[str, Tensor]) -> Tensor:
    """Return the loss: the sum of its terms, of which there is at least one."""
    return torch.stack(list(terms.values())).sum()


def add(sums: Sums, more: Sums) -> None:
    """Add sums to others, in place."""
    for name, value in more.items():
        sums[name] = sums.get(name, 0.0) + value


def means(sums: Sums) -> dict[str, float]:
    """Return the mean of each over the items; nothing if there were none.

    Examples
    --------
    >>> means({"items": 4, "loss": 2.0})
    {'loss': 0.5}
    """
    return {name: value / sums[_ITEMS] for name, value in sums.items() if name != _ITEMS}


def is_finite(sums: Sums) -> bool:
    """Tell whether the loss of every item was a number."""
    return math.isfinite(sums.get("loss", 0.0))
