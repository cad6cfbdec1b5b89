"""From a data set to the network: batches of views on the device, augmented and standardised."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from wsikd.data.augment.regions import (
    AugmentationDraw,
    AugmentSettings,
    augment,
    draw_augmentation,
)
from wsikd.data.statistics import standardise
from wsikd.models.weights import ModelDescription
from wsikd.training.device import memory_format
from wsikd.training.feeds.batches import Views, draw_balanced, shuffle


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


class Feed:
    """Reads items of a data set in a given order and makes them ready for the network.

    Parameters
    ----------
    dataset : Dataset
        Items are dicts of tensors with an "index"; images are uint8 of shape (3, h, w).
    views : mapping of str to ModelDescription
        The images among the entries, each with the model that reads it, for its mean and std.
    device : torch.device
        Where the batches go.
    augmentation : Variation, optional
        Varies all views of an item by the same draw; without it images stay as they are.
    workers : int
        Processes that read items; 0 reads them here.
    names : sequence of str
        What messages call the items.
    balanced : sequence of str, optional
        The class of each item; an epoch then draws every class equally often.
    """

    def __init__(  # noqa: PLR0913
        self,
        dataset: Dataset[dict[str, Tensor]],
        views: Mapping[str, ModelDescription],
        device: torch.device,
        *,
        augmentation: Variation | None = None,
        workers: int = 0,
        names: Sequence[str] = (),
        balanced: Sequence[str] | None = None,
    ) -> None:
        self._dataset, self._views, self._device = dataset, views, device
        self._augmentation, self._names, self._balanced = augmentation, names, balanced
        self._order = _Order()
        self._loader = DataLoader(
            dataset,
            batch_size=1,  # regions are of any size
            sampler=self._order,
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]  # Dataset declares no __len__

    def order(self, seed: int, epoch: int) -> list[int]:
        """Return all items, shuffled, or as many draws of classes in balance."""
        if self._balanced is not None:
            return draw_balanced(self._balanced, seed=seed, epoch=epoch)
        return shuffle(len(self), seed=seed, epoch=epoch)

    def batches(self, order: Sequence[int], *, epoch: int | None = None) -> Iterator[Views]:
        """Yield the items in this order; without an epoch they are not augmented.

        What is augmented has an entry "epoch".
        """
        self._order.indices = [draw % len(self) for draw in order]
        for draw, batch in zip(order, self._loader, strict=True):
            yield self._ready(batch, draw, epoch)

    def name(self, batch: Views) -> str:
        """Name the items of a batch."""
        indices = batch["index"].tolist()
        return ", ".join(self._names[i] if self._names else f"item {i}" for i in indices)

    def _ready(self, batch: Views, draw: int, epoch: int | None) -> Views:
        ready = {name: value.to(self._device, non_blocking=True) for name, value in batch.items()}
        variation = None if epoch is None else self._augmentation
        if variation is not None:
            ready["epoch"] = torch.tensor(epoch)
        for name, description in self._views.items():
            images = ready[name].float().div_(255)  # (B, 3, h, w)
            if variation is not None and epoch is not None:
                drawn = variation.draw(epoch, draw)
                images = torch.stack([augment(image, drawn) for image in images])
            images = standardise(images, description.mean, description.std)
            ready[name] = images.contiguous(memory_format=memory_format(self._device))
        return ready


class _Order(Sampler[int]):
    """An order that can change under a loader, whose processes then need not start again."""

    indices: Sequence[int] = ()

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)
