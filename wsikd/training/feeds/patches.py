"""From packed patches to the network: batches of views on the device, varied and standardised."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wsikd.data.augment.pairs import DistortSettings, distort, draw_distortions
from wsikd.data.statistics import standardise
from wsikd.geometry import Pixels
from wsikd.models.images import Images
from wsikd.models.weights import ModelDescription
from wsikd.training.batch import Batch
from wsikd.training.device import memory_format
from wsikd.training.distributed import part_of
from wsikd.training.feeds.batches import shuffle
from wsikd.training.feeds.prefetch import read_ahead

_ONLY_MOVED = {"noise": 0.0, "solarize": 0.0, "colour": 0.0}  # flips, crop, rotation as drawn


class PatchView(NamedTuple):
    """One named input of an item.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (patches, height, width, 3)
        Of all items; may be on disk, as `wsikd.data.patches.pack` leaves it.
    description : ModelDescription
        The model that reads it, for its mean and std.
    branch : int
        Chooses the stream of random numbers, so that no two views of an item are varied alike.
    only_moved : bool
        Whether flips, crop and rotation are the only changes.
    """

    pixels: Pixels
    description: ModelDescription
    branch: int = 0
    only_moved: bool = False


class Distortion(NamedTuple):
    """How patches are varied; what is drawn depends on seed, epoch, index and branch alone."""

    settings: DistortSettings
    seed: int


class PatchFeed:
    """Yields batches of patches; the next one is read while the network works on this one.

    Parameters
    ----------
    views : mapping of str to PatchView
        What a batch holds under which name.
    chosen : sequence of int
        The items, as rows of the views' pixels.
    batch : int
        Items at a time.
    device : torch.device
        Where batches go; there they are varied, too.
    distortion : Distortion, optional
        Varies each view by draws of its own; without it patches stay as they are.
    labels : Tensor of int, shape (patches,), optional
        Of each row of the pixels; a batch holds them as "label".
    name : callable, optional
        Names the patch of a row.
    """

    def __init__(  # noqa: PLR0913
        self,
        views: Mapping[str, PatchView],
        chosen: Sequence[int],
        batch: int,
        device: torch.device,
        *,
        distortion: Distortion | None = None,
        labels: Tensor | None = None,
        name: Callable[[int], str] = str,
    ) -> None:
        self._views, self._chosen, self._device = dict(views), list(chosen), device
        self._batch, self._distortion = batch, distortion
        self._labels, self._name = labels, name

    def __len__(self) -> int:
        return len(self._chosen)

    def order(self, seed: int, epoch: int) -> list[int]:
        """Return the items in a new order each epoch, without the rest that fills no batch."""
        whole = len(self._chosen) // self._batch * self._batch
        return shuffle(len(self._chosen), seed=seed, epoch=epoch)[:whole]

    def steps(
        self, order: Sequence[int], per_step: int, *, epoch: int | None = None
    ) -> Iterator[Iterator[Batch]]:
        """Yield each step's batch; with an epoch, each of several processes yields its part."""
        groups = self._groups(order, per_step)
        if epoch is not None:
            groups = [part_of(group) for group in groups]
        for group, read in read_ahead(self._read, groups):
            yield iter([self._ready(group, read, epoch)] if group else [])

    def batches(self, order: Sequence[int], *, epoch: int | None = None) -> Iterator[Batch]:
        """Yield the items in this order, all of every batch; without an epoch they are as they are.

        With one they are varied as in that epoch.
        """
        for group, read in read_ahead(self._read, self._groups(order, self._batch)):
            yield self._ready(group, read, epoch)

    def again(self, order: Sequence[int], epoch: int) -> Iterator[Batch]:
        """Yield the batch of a step once more, as a loss may be of all of its items."""
        return self.batches(order, epoch=epoch)

    def name(self, batch: Batch) -> str:
        """Name the patches of a batch: the first, and how many more."""
        more = f" and {len(batch) - 1} more" if len(batch) > 1 else ""
        return f"{self._name(batch.indices[0])}{more}"

    def lessen(self) -> bool:
        """Tell that a batch cannot be parted, as a loss may be of all of its items."""
        return False

    def _groups(self, order: Sequence[int], count: int) -> list[list[int]]:
        rows = [self._chosen[item] for item in order]
        return [rows[i : i + count] for i in range(0, len(rows), count)]

    def _read(self, rows: list[int]) -> dict[str, Tensor]:
        return {
            name: _gather(view.pixels, rows, self._device) for name, view in self._views.items()
        }

    def _ready(self, rows: list[int], read: Mapping[str, Tensor], epoch: int | None) -> Batch:
        images = {name: self._see(name, rows, read[name], epoch) for name in self._views}
        index = torch.tensor(rows)
        if self._labels is None:
            return Batch(tuple(rows), images, epoch=epoch)
        return Batch(tuple(rows), images, self._labels[index].to(self._device), epoch=epoch)

    def _see(self, name: str, rows: list[int], read: Tensor, epoch: int | None) -> Images:
        """Bring a view of shape (B, h, w, 3) to the device, vary and standardise it."""
        view = self._views[name]
        images = read.to(self._device, non_blocking=True)
        images = images.permute(0, 3, 1, 2).to(torch.float32).div_(255)
        if self._distortion is not None and epoch is not None:
            settings, seed = self._distortion
            if view.only_moved:
                settings = settings.model_copy(update=_ONLY_MOVED)
            draws = draw_distortions(settings, seed, epoch, rows, view.branch)
            images = distort(images, draws, settings)
        images = standardise(images, view.description.mean, view.description.std)
        return Images(images.contiguous(memory_format=memory_format(self._device)))


def _gather(pixels: Pixels, rows: list[int], device: torch.device) -> Tensor:
    """Read rows of an array, in the order of the disk; a GPU copies them from pinned memory."""
    by_place = np.argsort(rows)
    images = np.empty((len(rows), *pixels.shape[1:]), np.uint8)
    for place in by_place:
        images[place] = pixels[rows[place]]
    gathered = torch.from_numpy(images)
    return gathered.pin_memory() if device.type == "cuda" else gathered
