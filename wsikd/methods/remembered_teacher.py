"""A teacher that is asked about a counted number of views of every region, once and for all.

Its answers are in `cache/`, a file a region, for every run that shows the same views: of another
seed, with another loss, after a stop. The pixels that the teacher reads are then not read again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wsikd.data.augment.regions import AugmentationDraw, augment
from wsikd.data.augment.views import CountedViews, draw_view
from wsikd.data.statistics import standardise
from wsikd.errors import CheckpointError, StoppedError
from wsikd.files import replacing
from wsikd.geometry import Size
from wsikd.hashing import bytes_digest, digest, text_digest
from wsikd.locks import in_turn
from wsikd.losses.distillation import RESIZINGS
from wsikd.methods.teacher_answers import MEMORY_BYTES, Answer, Kept, look
from wsikd.models import Network
from wsikd.models.shapes import map_size
from wsikd.models.weights import ModelDescription
from wsikd.training.device import memory_format
from wsikd.training.display import Display
from wsikd.training.feeds.batches import Views
from wsikd.training.signals import StopRequest

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

    def asked(self, batch: Views) -> "tuple[RegionItem, View]":
        """Return the region that a batch of one shows, and in which view."""
        (index,) = batch["index"].tolist()
        if "epoch" not in batch:
            return self.val[index], None
        return self.train[index], self.views.view(int(batch["epoch"]), index)

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
class Asked:
    """Who is asked, and for whom.

    Attributes
    ----------
    teacher, student : Network
        The teacher on `device`.
    reads : ModelDescription
        What the teacher reads.
    magnification : float
        That the student reads.
    device : torch.device
        Where the teacher is computed.
    """

    teacher: Network
    student: Network
    reads: ModelDescription
    magnification: float
    device: torch.device

    def answer(self, pixels: Tensor, size: Size, draw: AugmentationDraw) -> Answer:
        """Let the teacher look at a view of a region.

        Parameters
        ----------
        pixels : Tensor, shape (1, 3, H, W)
            What the teacher reads of the region, in 0 to 1.
        size : Size
            Of what the student reads of it.
        draw : AugmentationDraw
            The view.
        """
        image = standardise(augment(pixels[0], draw), self.reads.mean, self.reads.std)[None]
        shown = Size(size.height, size.width) if draw.quarter_turns % 2 else size
        layout = memory_format(self.device)
        return look(
            self.teacher, image.contiguous(memory_format=layout), map_size(self.student, shown)
        )


class RememberedTeacher:
    """Knows the answers by heart.

    Parameters
    ----------
    folder : Path
        Of the answers, see `answers_folder`; they can be removed whenever nothing runs.
    questions : Questions
        What can be asked.
    """

    def __init__(self, folder: Path, questions: Questions) -> None:
        self._folder, self._questions = folder, questions
        self._kept = Kept(MEMORY_BYTES)

    def answer(self, batch: Views, size: tuple[int, int]) -> Answer:
        """Return what the teacher said of the view that the batch shows."""
        item, view = self._questions.asked(batch)
        known = self._kept.get((item, view))
        if known is None:
            known = self._recall(item, view, batch["student"].device)
        assert all(tensor.shape[2:] == size for tensor in known.maps.values()), (item, view, size)
        return known

    def learn(self, asked: Asked, display: Display) -> None:
        """Ask for every answer that is not known yet.

        Raises
        ------
        StoppedError
            If a signal came; the same call goes on.
        """
        asked.teacher.eval().requires_grad_(False)
        unknown = [
            (item, views) for item, views in self._questions.all() if not self._knows(item, views)
        ]
        if not unknown:
            return
        display.say(f"is asked once about {len(unknown)} regions, for {self._folder}")
        with StopRequest() as stop, display:
            display.restart("teacher's answers", total=len(unknown))
            for item, views in unknown:
                self._ask(asked, item, views)
                display.advance(1)
                if stop.number:
                    raise StoppedError(
                        f"{self._folder}: holds the answers so far; run the same command to go on",
                        stop.number,
                    )

    @torch.no_grad()
    def _ask(self, asked: Asked, item: "RegionItem", views: Sequence[View]) -> None:
        """Add the answers about some views of a region to its file."""
        path, known = self._path(item), self._read(item)
        place = (item.slide_id, item.region_id)
        pixels = self._questions.store.read_pixels(*place, asked.reads.magnification)
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        image = image[None].to(asked.device).float().div_(255)
        size = self._questions.store.size(*place, asked.magnification)
        draws = {view: self._questions.draw(item, view) for view in views if view not in known}
        told = {view: asked.answer(image, size, draw) for view, draw in draws.items()}
        with in_turn(self._folder / ".lock"):  # another student may have asked about other views
            _write(path, self._read(item) | told)

    def _recall(self, item: "RegionItem", view: View, device: torch.device) -> Answer:
        """Read the answers about a region; those about its other views are kept as well."""
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

    def _knows(self, item: "RegionItem", views: Sequence[View]) -> bool:
        return set(views) <= self._read(item).keys()

    def _read(self, item: "RegionItem") -> _Known:
        """Read what is known of a region; nothing if its file is missing or damaged."""
        try:
            return _read(self._path(item))
        except (OSError, SafetensorError, ValueError, KeyError):
            return {}

    def _path(self, item: "RegionItem") -> Path:
        record = self._questions.store.read_slide(item.slide_id)
        # prepared anew, a slide has another record
        slide = f"{item.slide_id}-{text_digest(record.model_dump_json())[:8]}"
        return self._folder / slide / f"{item.region_id}.safetensors"


def answers_folder(cache: Path, teacher: str, asked: Asked, views: CountedViews) -> Path:
    """Return where the answers are: one folder for all that are about the same views.

    Parameters
    ----------
    cache : Path
        Folder of what can be made again.
    teacher : str
        Digest of the teacher's weights.
    asked : Asked
        Who is asked.
    views : CountedViews
        How regions are shown; how many views there are does not matter.
    """
    settings = views.settings.model_dump_json()
    parts = [teacher, settings, f"{asked.magnification:g}", str(asked.student.stride), *RESIZINGS]
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
