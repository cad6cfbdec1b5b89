"""From fields to the network: batches of random crops, an epoch spread over all fields by area."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from wsikd.data.fields.field import Field, balance
from wsikd.geometry import Pixels, Size
from wsikd.models.images import Images
from wsikd.nuclei.learn.crops import deal_crops, draw_crop
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.network import lift
from wsikd.training.batch import Batch
from wsikd.training.device import memory_format
from wsikd.training.feeds.prefetch import read_ahead


class CropFeed:
    """Batches of crops; the next is read while the network works on this one.

    What is cropped, and how, depends on seed, epoch and place in the epoch alone. An item is a
    place in the epoch and a field, as one number.

    Parameters
    ----------
    fields : sequence of Field
        What is cropped.
    settings : SegmentSettings
        Crops, batch, seed and whether colours are balanced.
    device : torch.device
        Where batches go.
    """

    def __init__(
        self, fields: Sequence[Field], settings: SegmentSettings, device: torch.device
    ) -> None:
        self._fields, self._settings, self._device = list(fields), settings, device

    def __len__(self) -> int:
        return self._settings.crops

    def order(self, seed: int, epoch: int) -> list[int]:
        """Return the crops of an epoch, without the rest that fills no batch."""
        dealt = deal_crops(self._fields, len(self), np.random.default_rng((seed, epoch)))
        whole = len(self) // self._settings.batch * self._settings.batch
        return [place * len(self._fields) + int(which) for place, which in enumerate(dealt[:whole])]

    def steps(
        self, order: Sequence[int], per_step: int, *, epoch: int | None = None
    ) -> Iterator[Iterator[Batch]]:
        """Yield each step's crops as the view "image"; they are varied without an epoch, too."""
        groups = [list(order[i : i + per_step]) for i in range(0, len(order), per_step)]
        for group, crops in read_ahead(partial(self._read, epoch=epoch or 0), groups):
            images = torch.from_numpy(crops).permute(0, 3, 1, 2)  # (B, 3, h, w)
            lifted = lift(images.to(self._device))
            layout = memory_format(self._device)
            image = Images(lifted.contiguous(memory_format=layout))
            yield iter([Batch(tuple(group), {"image": image}, epoch=epoch)])

    def again(self, order: Sequence[int], epoch: int) -> Iterator[Batch]:
        """Yield the batch of a step once more, as the loss is of all of its crops."""
        for batches in self.steps(order, len(order), epoch=epoch):
            yield from batches

    def name(self, batch: Batch) -> str:
        """Name the fields that a batch comes from."""
        names = [self._fields[item % len(self._fields)].name for item in batch.indices]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{names[0]}{more}"

    def lessen(self) -> bool:
        """Tell that a batch cannot be parted, as the loss is of all of its crops."""
        return False

    def _read(self, items: list[int], epoch: int) -> Pixels:
        fields = [self._fields[item % len(self._fields)] for item in items]
        side = self._settings.crop
        size = Size(
            min(side, *(field.size.width for field in fields)),
            min(side, *(field.size.height for field in fields)),
        )
        crops = [
            self._crop(field, size, item, epoch) for field, item in zip(fields, items, strict=True)
        ]
        return np.stack(crops)

    def _crop(self, field: Field, size: Size, item: int, epoch: int) -> Pixels:
        random = np.random.default_rng((self._settings.seed, epoch, item))
        pixels, _ = draw_crop(field, size, random, glass=self._settings.max_glass)
        return balance(pixels, field.light) if self._settings.balance else pixels


def draw_seed(seed: int, batch: Batch) -> int:
    """Return what a batch's windows are drawn by, from the run's seed."""
    key = (seed, batch.epoch or 0, batch.indices[0], 1)
    return int(np.random.default_rng(key).integers(2**62))
