"""Asking a teacher, once, about every view of every region that its students lack answers on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wsikd.data.augment.regions import AugmentationDraw, augment
from wsikd.data.statistics import standardise
from wsikd.errors import StoppedError
from wsikd.memory import fits
from wsikd.methods.remembered_teacher import Questions, RememberedTeacher, View
from wsikd.models.images import Images
from wsikd.models.network import Reader, Seen
from wsikd.models.weights import ModelDescription
from wsikd.training.device import memory_format
from wsikd.training.display import Display
from wsikd.training.distributed import process_count, rank, sum_over_processes, wait
from wsikd.training.feeds.packing import deal
from wsikd.training.machine import Machine
from wsikd.training.signals import StopRequest

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem


@dataclass(frozen=True)
class Asked:
    """Who is asked.

    Attributes
    ----------
    read : callable
        Computes the teacher, which is in eval mode.
    reads : ModelDescription
        What it reads.
    machine : Machine
        Where it is computed.
    """

    read: Reader
    reads: ModelDescription
    machine: Machine

    @torch.no_grad()
    def look(self, pixels: Tensor, draw: AugmentationDraw) -> Seen:
        """Let the teacher look at a view of a region.

        Parameters
        ----------
        pixels : Tensor, shape (3, H, W)
            What the teacher reads of the region, in 0 to 1.
        draw : AugmentationDraw
            The view.
        """
        image = standardise(augment(pixels, draw), self.reads.mean, self.reads.std)[None]
        return self.read(Images(image.contiguous(memory_format=memory_format(image.device))))


def ask(
    asked: Asked, students: Sequence[RememberedTeacher], questions: Questions, display: Display
) -> None:
    """Ask for every answer that a student lacks; the teacher looks at a view once for all of them.

    Of several processes each asks about its own part of the regions.

    Raises
    ------
    StoppedError
        If a signal came; the same call goes on.
    """
    unknown = [
        (item, views, [one for one in students if one.lacks(item, views)])
        for item, views in _own_part(questions, asked.reads.magnification)
    ]
    unknown = [one for one in unknown if one[2]]
    count = sum_over_processes({"regions": len(unknown)})["regions"]
    if not count:
        return
    folder = students[0].folder.parent
    display.say(f"is asked once about {count:.0f} regions, for {folder}")
    with StopRequest() as stop, display:
        display.restart("teacher's answers", total=len(unknown))
        for item, views, lacking in unknown:
            lacks = {one: one.lacks(item, views) for one in lacking}
            while not fits(partial(_ask, asked, questions, item), lacks):
                asked.machine.clear()
                display.say(asked.machine.relent(item.name))
            display.advance(1)
            if stop.number:
                raise StoppedError(
                    f"{folder}: holds the answers so far; run the same command to go on",
                    stop.number,
                )
    wait()  # each reads what the others wrote


def _own_part(questions: Questions, magnification: float) -> "list[tuple[RegionItem, list[View]]]":
    """Return what this process asks about; it depends on nothing that others may have asked."""
    each = questions.all()
    sizes = [questions.store.size(item.slide_id, item.region_id, magnification) for item, _ in each]
    return [each[place] for place in deal(sizes, process_count())[rank()]]


def _ask(
    asked: Asked,
    questions: Questions,
    item: "RegionItem",
    lacking: Mapping[RememberedTeacher, Sequence[View]],
) -> None:
    """Ask about those views of a region that students lack."""
    place = (item.slide_id, item.region_id)
    pixels = questions.store.read_pixels(*place, asked.reads.magnification)
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    image = image.to(asked.machine.device).float().div_(255)
    views = dict.fromkeys(view for each in lacking.values() for view in each)
    told = {view: asked.look(image, questions.draw(item, view)) for view in views}
    for student, each in lacking.items():
        student.note(item, {view: told[view] for view in each})
