"""How long a training takes on this machine, from some seconds of its work on images of noise."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from wsikd.data.augment.batch import see_images
from wsikd.data.augment.regions import AugmentSettings, draw_augmentation
from wsikd.geometry import Size
from wsikd.methods.method import Part
from wsikd.methods.work import Work, budget_of
from wsikd.models.images import Images
from wsikd.models.seeding import build_seeded
from wsikd.training.device import memory_format
from wsikd.training.machine import Machine
from wsikd.training.settings import TrainingSettings
from wsikd.training.timing import seconds_of

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem

_HALF = 0.5, 0.5, 0.5


class _Measured(NamedTuple):
    """Seconds a pixel of a network's own view."""

    learning: float
    reading: float


class Duration(NamedTuple):
    """How long a training takes.

    Attributes
    ----------
    epoch : float
        Seconds of an epoch, the first of which may take longer.
    all : float
        Seconds in all, with what is asked once and with the predictions.
    """

    epoch: float
    all: float


def measure(
    settings: TrainingSettings, work: Work, machine: Machine, seconds: float = 10.0
) -> Duration:
    """Measure how long a training takes, without reading a region.

    Parameters
    ----------
    settings : TrainingSettings
        How it is trained.
    work : Work
        Which networks read which regions.
    machine : Machine
        Where.
    seconds : float
        To be spent, about; at least each network reads one batch.
    """
    measured = {}
    finest = work.magnifications(work.live)[0]
    count = 1 + len(work.parts) + sum(part.learns for part in work.parts)
    for part in work.parts:
        sizes = _typical(settings, work, machine, part.magnification)
        # what is asked about once is asked about region by region
        images = noise(sizes if part.views is None else sizes[:1], machine)
        measured[part] = _measure(part, work, machine, images, seconds / count)
    sizes = _typical(settings, work, machine, finest)
    made = seconds_of(partial(make_ready, sizes, machine), machine, seconds / count)
    return _add_up(settings, work, measured, made / _pixels(sizes))


def _add_up(
    settings: TrainingSettings, work: Work, measured: Mapping[Part, _Measured], making: float
) -> Duration:
    learnt = _pixels_of(work, work.learnt)
    validated = _pixels_of(work, work.inputs.items["val"])
    tested = _pixels_of(work, work.inputs.items["test"])
    finest = work.magnifications(work.live)[0]
    epoch = making * (learnt[finest] + validated[finest])
    once = 0.0
    for part in work.parts:
        mag, speed = part.magnification, measured[part]
        if part.is_trained:
            # it predicts with the best and with the last epoch
            epoch += speed.learning * learnt[mag] + speed.reading * validated[mag]
            once += 2 * speed.reading * (validated[mag] + tested[mag])
        elif part.views is None:  # its answers on validation are kept
            epoch += speed.reading * learnt[mag]
            once += speed.reading * validated[mag]
        else:
            views = min(part.views, settings.epochs)
            once += speed.reading * (views * learnt[mag] + validated[mag])
    return Duration(epoch, epoch * settings.epochs + once)


def _measure(part: Part, work: Work, machine: Machine, images: Images, seconds: float) -> _Measured:
    network = build_seeded(part.architecture, len(work.inputs.classes), seed=0)
    read = machine.reading(machine.place(network))

    def learn() -> None:
        torch.autograd.backward(read(images).logits.sum())

    @torch.no_grad()
    def look() -> None:
        read(images)

    pixels = _pixels(list(images.each_size()))
    reading = seconds_of(look, machine, seconds) / pixels
    learning = seconds_of(learn, machine, seconds) / pixels if part.learns else reading
    return _Measured(learning, reading)


def _typical(
    settings: TrainingSettings, work: Work, machine: Machine, magnification: float
) -> list[Size]:
    """Return the sizes of a usual batch: half of all pixels are of regions that are larger."""
    finest = work.magnifications(work.live)[0]
    each = sorted((work.sizes(item) for item in work.learnt), key=lambda sizes: sizes[finest].area)
    middle, passed = sum(sizes[finest].area for sizes in each) / 2, 0
    for sizes in each:
        passed += sizes[finest].area
        if passed >= middle:
            break
    fitting = int(budget_of(settings, work, machine) // sizes[finest].area)
    count = max(1, min(fitting, settings.accumulate, len(each)))
    return [sizes[magnification]] * count


def noise(sizes: list[Size], machine: Machine) -> Images:
    """Return images of noise, standardised and on a machine."""
    layout = memory_format(machine.device)
    random = torch.Generator().manual_seed(0)
    shape = (len(sizes), 3, sizes[0].height, sizes[0].width)
    return Images(torch.randn(shape, generator=random).to(machine.device, memory_format=layout))


def make_ready(sizes: list[Size], machine: Machine) -> None:
    """Do what a feed does to regions that have been read."""
    images = [torch.zeros(3, size.height, size.width, dtype=torch.uint8) for size in sizes]
    draws = [draw_augmentation(AugmentSettings(), 0, 1, index) for index in range(len(sizes))]
    on_device = [image.to(machine.device) for image in images]
    see_images(on_device, draws, _HALF, _HALF, memory_format(machine.device))


def _pixels_of(work: Work, items: "list[RegionItem]") -> dict[float, int]:
    each = [work.sizes(item) for item in items]
    mags = work.magnifications(work.parts)
    return {mag: sum(sizes[mag].area for sizes in each) for mag in mags}


def _pixels(sizes: list[Size]) -> int:
    return sum(size.area for size in sizes)
