"""From regions to the network: batches of views on the device, augmented and standardised."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from wsikd.data.augment.batch import see_images
from wsikd.data.augment.regions import AugmentationDraw, AugmentSettings, draw_augmentation
from wsikd.errors import TooLargeError
from wsikd.geometry import Size
from wsikd.memory import fits
from wsikd.models.images import Images
from wsikd.models.weights import ModelDescription
from wsikd.training.batch import Batch
from wsikd.training.device import memory_format
from wsikd.training.distributed import process_count, rank
from wsikd.training.feeds.batches import draw_balanced, shuffle
from wsikd.training.feeds.packing import deal, pack
from wsikd.training.feeds.prefetch import read_ahead

_AHEAD_BYTES = 2**28  # read ahead of the network: a second's work at least
_PUT_TOGETHER = 32  # items of which batches are made where there are no steps


class Variation(Protocol):
    """How training images are varied from epoch to epoch."""

    def draw(self, epoch: int, index: int) -> AugmentationDraw:
        """Return what an item's views are changed by; depends on the arguments alone."""


class Augmentation(NamedTuple):
    """A new draw in every epoch, of the run's seed."""

    settings: AugmentSettings
    seed: int

    def draw(self, epoch: int, index: int) -> AugmentationDraw:
        """Return what was drawn for an item in an epoch."""
        return draw_augmentation(self.settings, self.seed, epoch, index)


class Source(Protocol):
    """What regions are read from."""

    def __len__(self) -> int:
        """Count the items."""

    def size(self, index: int) -> Size:
        """Return the size of an item's largest view."""

    def read(self, index: int, without: Collection[str]) -> Mapping[str, Tensor]:
        """Read the views of an item, but for some, as uint8 of (3, h, w); called in threads."""


Needless = Callable[[Sequence[int]], Collection[str]]


def needs_all(_indices: Sequence[int]) -> Collection[str]:
    """Name no view as needless."""
    return ()


@dataclass(frozen=True)
class FeedOptions:
    """How items are read and put together.

    Attributes
    ----------
    budget : float
        Pixels of the largest view of a batch, with padding; 0 leaves each item alone.
    threads : int
        That read ahead; 0 reads an item when the network waits for it.
    needless : callable
        Names the views that need not be read of the items of a batch; it has none of them then.
    """

    budget: float = 0.0
    threads: int = 0
    needless: Needless = needs_all


@dataclass(frozen=True)
class About:
    """What is known of the items beside their pixels.

    Attributes
    ----------
    names : sequence of str
        What messages call them.
    labels : sequence of int, optional
        The class of each; -1 if it has none.
    weights : sequence of float, optional
        How much each counts in the loss.
    balanced : sequence of str, optional
        A class of each, of which an epoch then draws every one equally often.
    """

    names: Sequence[str] = ()
    labels: Sequence[int] | None = None
    weights: Sequence[float] | None = None
    balanced: Sequence[str] | None = None


class RegionFeed:
    """Reads items in a given order and makes them ready for the network.

    Parameters
    ----------
    source : Source
        Reads the pixels.
    views : mapping of str to ModelDescription
        The views, each with the model that reads it, for its mean and std.
    device : torch.device
        Where the batches go, and are varied.
    variation : Variation, optional
        Varies all views of an item by the same draw; without it images stay as they are.
    about : About
        Names, labels, weights.
    options : FeedOptions
        How items are read and put together.
    """

    def __init__(
        self,
        source: Source,
        views: Mapping[str, ModelDescription],
        device: torch.device,
        *,
        variation: Variation | None = None,
        about: About = About(),
        options: FeedOptions = FeedOptions(),
    ) -> None:
        self._source, self._views, self._device = source, views, device
        self._variation, self._about, self._options = variation, about, options
        self._budget = options.budget

    def __len__(self) -> int:
        return len(self._source)

    def order(self, seed: int, epoch: int) -> list[int]:
        """Return all items, shuffled, or as many draws of classes in balance."""
        if self._about.balanced is not None:
            return draw_balanced(self._about.balanced, seed=seed, epoch=epoch)
        return shuffle(len(self), seed=seed, epoch=epoch)

    def steps(
        self, order: Sequence[int], per_step: int, *, epoch: int | None = None
    ) -> Iterator[Iterator[Batch]]:
        """Yield the batches of each step, whose items are put together as the budget allows."""
        packed = [
            self._pack(self._own_part(group, epoch), epoch) for group in _groups(order, per_step)
        ]
        reading = self._read_ahead(chain.from_iterable(packed))
        for batches in packed:
            yield chain.from_iterable(
                self._made(*each, epoch) for each in islice(reading, len(batches))
            )

    def batches(self, order: Sequence[int]) -> Iterator[Batch]:
        """Yield items as they are, put together as the budget allows.

        Of several processes each yields its own part of them.
        """
        own = self._own_part(order, None)
        packed = (self._pack(group, None) for group in _groups(own, _PUT_TOGETHER))
        for each in self._read_ahead(chain.from_iterable(packed)):
            yield from self._made(*each, None)

    def again(self, order: Sequence[int], epoch: int) -> Iterator[Batch]:
        """Yield the items of a step once more, each alone."""
        for each in self._read_ahead([draw] for draw in order):
            yield from self._made(*each, epoch)

    def name(self, batch: Batch) -> str:
        """Name the items of a batch."""
        return self._name(batch.indices)

    def lessen(self) -> bool:
        """Halve the pixels of a batch from here on; what is read already is parted, too."""
        self._budget /= 2
        return True

    def _name(self, indices: Sequence[int]) -> str:
        names = self._about.names
        return ", ".join(names[index] if names else f"item {index}" for index in indices)

    def _draw(self, draw: int, epoch: int | None) -> AugmentationDraw | None:
        if epoch is None or self._variation is None:
            return None
        return self._variation.draw(epoch, draw)

    def _own_part(self, draws: Sequence[int], epoch: int | None) -> list[int]:
        """Return those draws of a step that this process is to learn from: all of a single one."""
        if process_count() == 1:
            return list(draws)
        parts = deal(self._sizes(draws, epoch), process_count())
        return [draws[place] for place in parts[rank()]]

    def _pack(self, draws: Sequence[int], epoch: int | None) -> list[list[int]]:
        """Put draws together into batches."""
        packed = pack(self._sizes(draws, epoch), self._budget)
        return [[draws[place] for place in batch] for batch in packed]

    def _sizes(self, draws: Sequence[int], epoch: int | None) -> list[Size]:
        """Return the sizes that the largest views of draws will have."""
        sizes = []
        for draw in draws:
            drawn, size = self._draw(draw, epoch), self._source.size(draw % len(self))
            turned = drawn is not None and drawn.quarter_turns % 2
            sizes.append(Size(size.height, size.width) if turned else size)
        return sizes

    def _read_ahead(
        self, batches: Iterable[list[int]]
    ) -> Iterator[tuple[list[int], list[Mapping[str, Tensor]]]]:
        return read_ahead(
            self._read,
            batches,
            threads=self._options.threads,
            cost=self._bytes_of,
            limit=_AHEAD_BYTES,
        )

    def _bytes_of(self, draws: Sequence[int]) -> int:
        sizes = (self._source.size(draw % len(self)) for draw in draws)
        return sum(3 * size.width * size.height for size in sizes)

    def _read(self, draws: Sequence[int]) -> list[Mapping[str, Tensor]]:
        indices = [draw % len(self) for draw in draws]
        without = self._options.needless(indices)
        return [self._source.read(index, without) for index in indices]

    def _made(
        self, draws: Sequence[int], read: Sequence[Mapping[str, Tensor]], epoch: int | None
    ) -> Iterator[Batch]:
        """Yield a batch, or batches of its parts if there is no memory for it."""
        made: list[Batch] = []
        if fits(lambda these: made.append(self._ready(these, read, epoch)), draws):
            yield made.pop()  # and so is not held while the network works on it
            return
        if len(draws) == 1:
            raise TooLargeError(
                f"{self._name([draws[0] % len(self)])}: needs more memory than there is to be "
                f"brought to {self._device}; use a lower magnification, smaller regions (wsikd "
                "prepare --tissue.max-side-um) or a machine with more memory"
            )
        self.lessen()
        middle = len(draws) // 2
        yield from self._made(draws[:middle], read[:middle], epoch)
        yield from self._made(draws[middle:], read[middle:], epoch)

    def _ready(
        self, draws: Sequence[int], read: Sequence[Mapping[str, Tensor]], epoch: int | None
    ) -> Batch:
        drawn = [self._draw(draw, epoch) for draw in draws]
        indices = tuple(draw % len(self) for draw in draws)
        labels, weights = self._about.labels, self._about.weights
        return Batch(
            indices,
            self._images(read, drawn),
            self._chosen(labels or [-1] * len(self), indices),
            None if weights is None else self._chosen(weights, indices),
            epoch=None if self._variation is None else epoch,
        )

    def _images(
        self, read: Sequence[Mapping[str, Tensor]], drawn: Sequence[AugmentationDraw | None]
    ) -> dict[str, Images]:
        """Make the views that were read ready; needless ones were not."""
        there = [name for name in self._views if name in read[0]]
        return {name: self._see(name, [item[name] for item in read], drawn) for name in there}

    def _see(
        self, name: str, read: Sequence[Tensor], drawn: Sequence[AugmentationDraw | None]
    ) -> Images:
        """Bring a view of some items to the device, varied and standardised."""
        reads = self._views[name]
        pixels = [image.to(self._device, non_blocking=True) for image in read]
        return see_images(pixels, drawn, reads.mean, reads.std, memory_format(self._device))

    def _chosen(self, values: Sequence[float], indices: Sequence[int]) -> Tensor:
        return torch.tensor([values[index] for index in indices], device=self._device)


def _groups(order: Sequence[int], count: int) -> Iterator[Sequence[int]]:
    return (order[start : start + count] for start in range(0, len(order), count))
