"""A teacher that is asked about a counted number of views of every region, once and for all.

Its answers are in `cache/`, a file a region, for every run that shows the same views: of another
seed, with another loss, after a stop. The pixels that the teacher reads are then not read again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wsikd.data.augment.regions import AugmentationDraw
from wsikd.data.augment.views import CountedViews, draw_view
from wsikd.errors import CheckpointError
from wsikd.files import clear_up, replacing
from wsikd.geometry import Size
from wsikd.hashing import bytes_digest, digest, text_digest
from wsikd.locks import in_turn
from wsikd.losses.distillation import RESIZINGS
from wsikd.methods.teacher_answers import MEMORY_BYTES, Answer, Kept, MapSizes, join, resize
from wsikd.models import Network
from wsikd.models.network import Seen
from wsikd.models.shapes import map_size
from wsikd.training.batch import Batch

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem
    from wsikd.store import RegionStore

View = int | None
"""Number of a view; None is the region as it is."""

_Known = dict[View, Answer]


@dataclass(frozen=True)
class Questions:
    """What a teacher is asked about.

    Attributes
    ----------
    store : RegionStore
        Holds the regions.
    train, val : sequence of RegionItem
        Regions that are learnt from and shown in views, and regions that are shown as they are; in
        the order of their feeds.
    views : CountedViews
        Of the regions of `train`.
    epochs : int
        In which they are shown; fewer than there are views leave some of these out.
    """

    store: "RegionStore"
    train: "Sequence[RegionItem]"
    val: "Sequence[RegionItem]"
    views: CountedViews
    epochs: int

    def asked(self, batch: Batch) -> "list[tuple[RegionItem, View]]":
        """Return the regions that a batch shows, and in which view."""
        if batch.epoch is None:
            return [(self.val[index], None) for index in batch.indices]
        return [(self.train[index], self.views.view(batch.epoch, index)) for index in batch.indices]

    def all(self) -> "list[tuple[RegionItem, list[View]]]":
        """List every region with the views that are going to be asked for."""
        epochs = range(1, 1 + min(self.epochs, self.views.count))
        shown: dict[RegionItem, list[View]] = {
            item: [*sorted({self.views.view(epoch, index) for epoch in epochs})]
            for index, item in enumerate(self.train)
        }
        for item in self.val:
            shown.setdefault(item, []).append(None)
        return list(shown.items())

    def draw(self, item: "RegionItem", view: View) -> AugmentationDraw:
        """Return what was drawn for a view."""
        return (
            AugmentationDraw() if view is None else draw_view(self.views.settings, item.name, view)
        )


@dataclass(frozen=True)
class Student:
    """For whom a teacher is asked.

    Attributes
    ----------
    stride : int
        Pixels of an image per pixel of its maps.
    magnification : float
        That it reads.
    map_size : callable
        Returns height and width of its maps from the size of an image.
    """

    stride: int
    magnification: float
    map_size: Callable[[Size], tuple[int, int]]

    @classmethod
    def of(cls, network: Network, magnification: float) -> Self:
        """Describe a student by its network."""
        return cls(network.stride, magnification, cache(partial(map_size, network)))


class RememberedTeacher:
    """Knows the answers for one student by heart.

    Parameters
    ----------
    folder : Path
        Of the answers, see `answers_folder`; they can be removed whenever nothing runs.
    questions : Questions
        What can be asked.
    student : Student
        For whom.
    """

    def __init__(self, folder: Path, questions: Questions, student: Student) -> None:
        self.folder, self.questions, self._student = folder, questions, student
        self._kept = Kept(MEMORY_BYTES)

    def answer(self, batch: Batch, student: str, sizes: MapSizes) -> Answer:
        """Return what the teacher said of the views that the batch shows."""
        device = batch.images[student].pixels.device
        known = [self._recall(item, view, device) for item, view in self.questions.asked(batch)]
        return join(known, sizes)

    def lacks(self, item: "RegionItem", views: Sequence[View]) -> list[View]:
        """Return those of a region's views that there is no answer about."""
        known = self._read(item)
        return [view for view in views if view not in known]

    def note(self, item: "RegionItem", told: Mapping[View, Seen]) -> None:
        """Add what the teacher saw in views of a region to its file."""
        place = (item.slide_id, item.region_id)
        size = self.questions.store.size(*place, self._student.magnification)
        answers = {}
        for view, seen in told.items():
            turned = self.questions.draw(item, view).quarter_turns % 2
            shown = Size(size.height, size.width) if turned else size
            answers[view] = resize(seen, MapSizes(self._student.map_size(shown)))
        with in_turn(self.folder / ".lock"):  # another training may have asked about other views
            clear_up(self._path(item).parent)
            _write(self._path(item), self._read(item) | answers)

    def _recall(self, item: "RegionItem", view: View, device: torch.device) -> Answer:
        """Return an answer; from the file of a region, all are kept."""
        known = self._kept.get((item, view))
        if known is not None:
            return known
        answers = {of: answer.to(device) for of, answer in self._read(item).items()}
        for of, answer in answers.items():
            if self._kept.get((item, of)) is None:
                self._kept.put((item, of), answer)
        if view not in answers:
            raise CheckpointError(
                f"{self._path(item)}: holds no answer about a view that it had; run the same "
                "command to go on"
            )
        return answers[view]

    def _read(self, item: "RegionItem") -> _Known:
        """Read what is known of a region; nothing if its file is missing or damaged."""
        try:
            return _read(self._path(item))
        except (OSError, SafetensorError, ValueError, KeyError):
            return {}

    def _path(self, item: "RegionItem") -> Path:
        record = self.questions.store.read_slide(item.slide_id)
        # prepared anew, a slide has another record
        slide = f"{item.slide_id}-{text_digest(record.model_dump_json())[:8]}"
        return self.folder / slide / f"{item.region_id}.safetensors"


def answers_folder(cache: Path, teacher: str, student: Student, views: CountedViews) -> Path:
    """Return where the answers are: one folder for all that are about the same views.

    Parameters
    ----------
    cache : Path
        Folder of what can be made again.
    teacher : str
        Digest of the teacher's weights.
    student : Student
        For whom.
    views : CountedViews
        How regions are shown; how many views there are does not matter.
    """
    settings = views.settings.model_dump_json()
    parts = [teacher, settings, f"{student.magnification:g}", str(student.stride), *RESIZINGS]
    return cache / "teacher" / digest(parts)[:16]


def _write(path: Path, known: _Known) -> None:
    tensors = _flatten(known)
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"sha256": _digest(tensors)})


def _read(path: Path) -> _Known:
    """Read a file of answers; `ValueError` if it does not hold what was written."""
    with safe_open(path, framework="pt") as file:
        stated = (file.metadata() or {}).get("sha256")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    if stated != _digest(tensors):
        raise ValueError(f"{path}: damaged")
    return _unflatten(tensors)


def _digest(tensors: dict[str, Tensor]) -> str:
    return bytes_digest(
        part
        for name, tensor in sorted(tensors.items())
        for part in (name.encode(), str(tuple(tensor.shape)).encode(), tensor.numpy().tobytes())
    )


def _flatten(known: _Known) -> dict[str, Tensor]:
    return {
        f"{'plain' if view is None else view}/{name}": tensor.cpu().contiguous()
        for view, answer in known.items()
        for name, tensor in {"logits": answer.logits, **answer.maps}.items()
    }


def _unflatten(tensors: dict[str, Tensor]) -> _Known:
    by_view: dict[View, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        view, _, name = key.partition("/")
        by_view.setdefault(None if view == "plain" else int(view), {})[name] = tensor
    return {view: Answer(named.pop("logits"), named) for view, named in by_view.items()}
