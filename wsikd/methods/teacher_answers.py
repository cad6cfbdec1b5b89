"""What the frozen teacher answers about a batch: all that a student learns from.

The loss of a student depends on the teacher through its logits and its feature map, brought to the
size of the student's in each of several ways. That is little to keep, and the teacher's pass is
nearly all of a student's training; so what is shown again need not be asked again.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from wsikd.losses.distillation import RESIZINGS, resize_feature_map
from wsikd.models import Network
from wsikd.training.feeds.batches import Views

MEMORY_BYTES = 2**30
"""Most that is kept in memory of one teacher's answers."""


class Answer(NamedTuple):
    """What a teacher says of a batch.

    Attributes
    ----------
    logits : Tensor, shape (B, K)
        Scores of the classes.
    maps : mapping of str to Tensor, shape (B, C, h, w)
        The feature map at the student's size, by key of `RESIZINGS`.
    """

    logits: Tensor
    maps: Mapping[str, Tensor]

    def to(self, device: torch.device) -> Self:
        """Bring it to a device."""
        maps = {name: tensor.to(device) for name, tensor in self.maps.items()}
        return self._replace(logits=self.logits.to(device), maps=maps)


class Teacher(Protocol):
    """Answers for the batches of a feed."""

    def answer(self, batch: Views, size: tuple[int, int]) -> Answer:
        """Return what it says of a batch, with maps of the student's size (h, w)."""


class LiveTeacher:
    """Looks at every augmented view anew, as published, and once at images that stay as they are.

    Parameters
    ----------
    network : Network
        Put into eval mode; no gradient reaches it. It reads the view "teacher".
    limit_bytes : int
        Most memory that is kept for images that stay: those of validation, shown every epoch.
    """

    def __init__(self, network: Network, *, limit_bytes: int = MEMORY_BYTES) -> None:
        self._network = network.eval().requires_grad_(False)
        self._kept = Kept(limit_bytes)

    def answer(self, batch: Views, size: tuple[int, int]) -> Answer:
        """Return what the teacher says of its view."""
        if "epoch" in batch:
            return look(self._network, batch["teacher"], size)
        key = tuple(batch["index"].tolist())
        known = self._kept.get(key)
        if known is None:
            known = look(self._network, batch["teacher"], size)
            self._kept.put(key, known)
        return known


class Kept:
    """Answers in memory, as many as there is room for.

    Parameters
    ----------
    limit_bytes : int
        The room.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._answers: dict[Hashable, Answer] = {}
        self._room = limit_bytes

    def get(self, key: Hashable) -> Answer | None:
        """Return an answer that is kept."""
        return self._answers.get(key)

    def put(self, key: Hashable, answer: Answer) -> None:
        """Keep an answer, if it has room."""
        needed = answer.logits.nbytes + sum(tensor.nbytes for tensor in answer.maps.values())
        if needed <= self._room:
            self._room -= needed
            self._answers[key] = answer


@torch.no_grad()
def look(network: Network, image: Tensor, size: tuple[int, int]) -> Answer:
    """Let a network in eval mode look at standardised images, for maps of the size (h, w)."""
    seen = network(image)
    return Answer(seen.logits, resize_feature_map(seen.feature_map, size, RESIZINGS))
