"""From fields to the network: batches of random crops, an epoch spread over all fields by area."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from wsikd.data.fields import Field, balance
from wsikd.geometry import Size
from wsikd.models.confidence import lift
from wsikd.slides.reader import Pixels
from wsikd.training.feed import Views, memory_format
from wsikd.training.segment_settings import SegmentSettings

_BRIGHT = 0.7 * 255  # in all channels: glass, as published
_ATTEMPTS = 20


class CropFeed:
    """Gives batches of crops; the next is read while the network works on this one.

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
        areas = np.array([field.size.width * field.size.height for field in fields], np.float64)
        self._expected = settings.crops * areas / areas.sum()

    def __len__(self) -> int:
        return self._settings.crops

    def order(self, seed: int, epoch: int) -> list[int]:
        """Give the crops of an epoch, without the rest that fills no batch.

        Systematic sampling: a field is cropped as often as its share of the area says, rounded down
        or up by chance; fields of one size as often as each other.
        """
        random = np.random.default_rng((seed, epoch))
        ends = np.cumsum(self._expected)
        places = random.random() + np.arange(len(self))
        chosen = np.minimum(np.searchsorted(ends, places), len(self._fields) - 1)
        whole = len(self) // self._settings.batch * self._settings.batch
        shuffled = random.permutation(chosen)[:whole]
        return [place * len(self._fields) + int(field) for place, field in enumerate(shuffled)]

    def batches(self, order: Sequence[int], *, epoch: int | None = None) -> Iterator[Views]:
        """Give the crops in this order as "image", and "draw", which is what is drawn by."""
        size = self._settings.batch
        groups = [list(order[i : i + size]) for i in range(0, len(order), size)]
        with ThreadPoolExecutor(max_workers=1) as reader:
            coming = [reader.submit(self._read, group, epoch or 0) for group in groups[:1]]
            for number, group in enumerate(groups):
                images = torch.from_numpy(coming.pop().result())
                coming = [
                    reader.submit(self._read, next_, epoch or 0)
                    for next_ in groups[number + 1 :][:1]
                ]
                lifted = lift(images.permute(0, 3, 1, 2).to(self._device))
                yield {
                    "index": torch.tensor(group),
                    "image": lifted.contiguous(memory_format=memory_format(self._device)),
                    "draw": torch.tensor(self._draw(group[0], epoch or 0)),
                }

    def name(self, batch: Views) -> str:
        """Say which fields a batch is of."""
        names = [self._fields[item % len(self._fields)].name for item in batch["index"].tolist()]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{names[0]}{more}"

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
        return draw_crop(
            field, size, random, balanced=self._settings.balance, glass=self._settings.max_glass
        )[0]

    def _draw(self, item: int, epoch: int) -> int:
        return int(np.random.default_rng((self._settings.seed, epoch, item, 1)).integers(2**62))


def draw_crop(
    field: Field, size: Size, random: np.random.Generator, *, balanced: bool, glass: float
) -> tuple[Pixels, tuple[int, int]]:
    """Draw a crop; of a slide one that is not mostly glass, if twenty attempts find any.

    Parameters
    ----------
    field : Field
        At least as large as `size`.
    size : Size
        Of the crop.
    random : Generator
        Where it lies.
    balanced : bool
        Whether its colours are divided by those of unstained light.
    glass : float
        Share of its pixels whose channels are all above 0.7, at most. Images are not judged.

    Returns
    -------
    crop : ndarray of uint8, shape (height, width, 3)
    corner : tuple of int
        Its left and top in the field.
    """
    for _ in range(_ATTEMPTS):
        left = int(random.integers(field.size.width - size.width + 1))
        top = int(random.integers(field.size.height - size.height + 1))
        pixels = field.crop(left, top, size)
        if field.outline is None or _bright(pixels) <= glass:
            break
    return balance(pixels, field.light) if balanced else pixels, (left, top)


def _bright(pixels: NDArray[np.uint8]) -> float:
    return float((pixels > _BRIGHT).all(axis=2).mean())
