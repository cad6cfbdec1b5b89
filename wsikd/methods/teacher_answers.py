"""What the frozen teacher answers about a batch: all that a student learns from.

The loss of a student depends on the teacher through its logits and its feature map, brought to the
size of the student's in each of several ways. That is little to keep, and the teacher's pass is
nearly all of a student's training; so what is shown again need not be asked again.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from wsikd.geometry import Size
from wsikd.losses.distillation import RESIZINGS, pad_maps, resize_feature_map
from wsikd.models import Network
from wsikd.models.network import Reader, Seen
from wsikd.models.weights import load_model
from wsikd.runs import RunFolder
from wsikd.training.batch import Batch
from wsikd.training.machine import Machine


class MapSizes(NamedTuple):
    """How large a student's maps are.

    Attributes
    ----------
    size : tuple of int
        Height and width of the tensor.
    each : tuple of Size, optional
        Of each image's part of it; all fill it without.
    """

    size: tuple[int, int]
    each: tuple[Size, ...] | None = None

    @classmethod
    def of(cls, seen: Seen) -> Self:
        """Return those of what a student sees."""
        height, width = seen.feature_map.shape[2:]
        return cls((height, width), seen.sizes)


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

    def answer(self, batch: Batch, student: str, sizes: MapSizes) -> Answer:
        """Return what it says of a batch, with maps of the sizes of that student's."""


class LiveTeacher:
    """Looks at every augmented view anew, as published, and once at images that stay as they are.

    Students that are trained side by side share it: it looks at a batch once for all of them. It
    reads the view "teacher".

    Parameters
    ----------
    network : Network
        Put into eval mode; no gradient reaches it.
    read : callable, optional
        Computes it in another way than it does by itself.
    limit_bytes : int
        Most memory that is kept for images that stay: those of validation, shown every epoch.

    Attributes
    ----------
    read : callable
        Reads images with it.
    """

    def __init__(
        self, network: Network, read: Reader | None = None, *, limit_bytes: int = MEMORY_BYTES
    ) -> None:
        network.eval().requires_grad_(False)
        self.read: Reader = read or network
        self._kept, self._students = Kept(limit_bytes), set[str]()
        self._last: tuple[Batch, Seen] | None = None

    def expect(self, student: str) -> None:
        """Tell that a student is going to ask, so that it is not taken to know enough before."""
        self._students.add(student)

    def needless(self, indices: Sequence[int]) -> Collection[str]:
        """Name its view if all students have their answers about these images of validation."""
        known = all(self._kept.get((tuple(indices), one)) is not None for one in self._students)
        return {"teacher"} if known else ()

    def answer(self, batch: Batch, student: str, sizes: MapSizes) -> Answer:
        """Return what the teacher says of its view."""
        if batch.epoch is not None:
            return resize(self._look(batch), sizes)
        key = (batch.indices, student)
        known = self._kept.get(key)
        if known is None:
            known = resize(self._look(batch), sizes)
            self._kept.put(key, known)
        return known

    def _look(self, batch: Batch) -> Seen:
        if self._last is None or self._last[0] is not batch:
            with torch.no_grad():
                self._last = batch, self.read(batch["teacher"])
        return self._last[1]


class Teachers:
    """The teachers of students that are trained side by side; each is loaded once.

    Parameters
    ----------
    runs : Path
        Folder of all runs.
    cache : Path
        Folder of what can be made again.
    student_mags : tuple of float
        What the students read.
    """

    def __init__(self, runs: Path, cache: Path, student_mags: tuple[float, ...]) -> None:
        self.runs, self.cache, self.student_mags = runs, cache, student_mags
        self._live: dict[Path, LiveTeacher] = {}

    def live(self, source: RunFolder, machine: Machine) -> LiveTeacher:
        """Return the teacher of a run, on a machine."""
        path = source.model_path()
        if path not in self._live:
            network, _ = load_model(path)
            machine.place(network)
            # that of another fold is dropped
            self._live = {path: LiveTeacher(network, machine.reading(network))}
        return self._live[path]


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


def resize(seen: Seen, sizes: MapSizes) -> Answer:
    """Bring what a teacher saw to the sizes of a student's maps."""
    maps = resize_feature_map(
        seen.feature_map, sizes.size, RESIZINGS, sizes=sizes.each, teacher_sizes=seen.sizes
    )
    return Answer(seen.logits, maps)


def join(answers: Sequence[Answer], sizes: MapSizes) -> Answer:
    """Put answers about one image each together."""
    maps = {
        name: pad_maps([answer.maps[name][0] for answer in answers]) for name in answers[0].maps
    }
    assert all(tensor.shape[2:] == sizes.size for tensor in maps.values()), sizes
    return Answer(torch.cat([answer.logits for answer in answers]), maps)
