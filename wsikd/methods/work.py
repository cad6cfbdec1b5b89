"""Which networks a training computes of which regions, and what that takes, by records alone."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

import psutil
import torch

from wsikd.data.held import Room, count_bytes, find_room
from wsikd.geometry import Size, format_magnification
from wsikd.losses.distillation import RESIZINGS
from wsikd.methods.forecast import Amount, Forecast, NetworkForecast
from wsikd.methods.method import Part, live_parts
from wsikd.methods.one_pixel import one_pixel_notes
from wsikd.models import Network, build_model
from wsikd.models.shapes import map_size
from wsikd.training.device import USUAL, Way
from wsikd.training.distributed import process_count_here
from wsikd.training.machine import Machine
from wsikd.training.memory import (
    choose_policy,
    least_policy,
    most_pixels,
    predict_peak,
    standing_bytes,
    too_large,
)
from wsikd.training.settings import TrainingSettings

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem
    from wsikd.methods.region_inputs import Inputs

_USUAL_MPIX = {"cpu": 1.0}  # where larger batches are no faster, and leave the caches
_GPU_MPIX = 16.0

_IMAGE = 12  # bytes a pixel of what a network reads
_MADE = 51  # and at most while it is made: read, varied, standardised, put together
_MALLOC = 2**28  # kept by glibc of what was freed, measured; not of tensors above 32 MiB
_AHEAD = 2**28  # read ahead of the network, where regions do not stay
_KEPT = 5  # times the weights: copies of model, optimizer and best model that are being written


class Work(NamedTuple):
    """Which networks read which regions.

    Attributes
    ----------
    inputs : Inputs
        The regions of a fold.
    learns_from : tuple of str
        The splits that are learnt from.
    parts : tuple of Part
        The networks.
    way : Way
        How they are computed.
    """

    inputs: "Inputs"
    learns_from: tuple[str, ...]
    parts: tuple[Part, ...]
    way: Way = USUAL

    @property
    def learnt(self) -> "list[RegionItem]":
        """The regions learnt from."""
        return [item for split in self.learns_from for item in self.inputs.items[split]]

    @property
    def live(self) -> tuple[Part, ...]:
        """The networks that are computed in every step."""
        return live_parts(self.parts)

    def network(self, part: Part) -> Network:
        """Return a network without numbers."""
        return shapes_of(part.architecture, len(self.inputs.classes), self.way)

    def magnifications(self, parts: "Iterable[Part]") -> list[float]:
        """Return what networks read, the finest first."""
        return sorted({part.magnification for part in parts}, reverse=True)

    def sizes(self, item: "RegionItem") -> dict[float, Size]:
        """Return the sizes of a region, by magnification."""
        place = (item.slide_id, item.region_id)
        return {mag: self.inputs.store.size(*place, mag) for mag in self.magnifications(self.parts)}

    def amount(self, items: "Sequence[RegionItem]") -> Amount:
        """Count regions and their pixels."""
        pixels: Counter[str] = Counter()
        for item in items:
            for mag, size in self.sizes(item).items():
                pixels[format_magnification(mag)] += size.area
        return Amount(regions=len(items), pixels=dict(pixels))


@contextmanager
def made_room(work: Work, settings: TrainingSettings, machine: Machine) -> Iterator[Room]:
    """Decide where regions stay that are read in every epoch; in the block they have their room."""
    items = work.learnt + work.inputs.items["val"]
    needed = count_bytes(work.inputs.store, items, work.magnifications(work.live))
    sharing = process_count_here()
    room = find_room(settings.resident, needed, machine.device, sharing=sharing)
    held = room.device.type == machine.device.type and settings.memory_gib is None
    with machine.reserved(room.bytes if held else 0):
        yield room


def foresee(
    run: str, settings: TrainingSettings, work: Work, machine: Machine, room: Room
) -> Forecast:
    """Say what a training will compute.

    Parameters
    ----------
    run : str
        Its name.
    settings : TrainingSettings
        How it is trained.
    work : Work
        Which networks read which regions.
    machine : Machine
        Where.
    room : Room
        Where regions stay.

    Raises
    ------
    TooLargeError
        If a region is too large for a network, however that is computed.
    """
    learnt = work.learnt
    sizes = {item.name: work.sizes(item) for item in learnt}
    largest = max(sizes, key=lambda name: max(size.area for size in sizes[name].values()))
    return Forecast(
        run=run,
        fold=settings.fold,
        learnt=work.amount(learnt),
        validated=work.amount(work.inputs.items["val"]),
        epochs=settings.epochs,
        steps=math.ceil(len(learnt) / settings.accumulate),
        device=str(machine.device),
        way="" if machine.way == USUAL else machine.way.told(),
        room_bytes=machine.room_bytes,
        peak_bytes=_peak(settings, work, machine, room),
        largest=largest,
        largest_size=max(sizes[largest].values(), key=lambda size: size.area),
        networks=tuple(_network(work, part, sizes, machine) for part in work.parts),
        resident=room.told,
        cache_bytes=sum(map(partial(_answers_bytes, work), work.parts)),
        notes=tuple(
            one_pixel_notes({p.magnification: work.network(p) for p in work.parts}, sizes.values())
        ),
    )


def budget_of(settings: TrainingSettings, work: Work, machine: Machine) -> float:
    """Return how many pixels of the finest view are read at once, padding included."""
    networks = [(work.network(part), part) for part in work.live]
    if not all(network.packs for network, _ in networks):
        return 0.0
    if settings.batch_mpix is not None:
        return 1e6 * settings.batch_mpix
    usual = 1e6 * _USUAL_MPIX.get(machine.device.type, _GPU_MPIX)
    finest = work.magnifications(work.live)[0]
    fitting = [
        most_pixels(network, machine.room_bytes, "plain", training=part.learns)
        * (finest / part.magnification) ** 2
        for network, part in networks
    ]
    return min(usual, *fitting)


@lru_cache(maxsize=16)
def shapes_of(architecture: str, class_count: int, way: Way = USUAL) -> Network:
    """Return a network without numbers; what is counted of it is known to the next call."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        return way.bring(build_model(architecture, class_count))


def _network(
    work: Work,
    part: Part,
    sizes: Mapping[str, Mapping[float, Size]],
    machine: Machine,
) -> NetworkForecast:
    network, mag = work.network(part), part.magnification
    policies: Counter[str] = Counter()
    for name, each in sizes.items():
        policy = choose_policy(network, each[mag], machine.room_bytes, training=part.learns)
        if policy is None:
            least = least_policy(network, each[mag], training=part.learns)
            needed = predict_peak(network, each[mag], least, training=part.learns)
            raise too_large(name, each[mag], needed, machine.room_bytes, least)
        policies[policy] += 1
    return NetworkForecast(
        role=part.role,
        architecture=part.architecture,
        magnification=mag,
        learns=part.learns,
        views=part.views,
        policies=dict(policies.most_common()),
    )


def _peak(settings: TrainingSettings, work: Work, machine: Machine, room: Room) -> int:
    """Predict what all takes at once, at most, and on a CPU with the program itself."""
    learnt = [{mag: size.area for mag, size in work.sizes(item).items()} for item in work.learnt]
    validated = [
        {mag: size.area for mag, size in work.sizes(item).items()}
        for item in work.inputs.items["val"]
    ]
    steps = [*learnt, *_batch(settings, work, machine, learnt)]
    live = work.live
    peak = max(
        *(_step(work, live, pixels, machine, learning=True) for pixels in steps),
        *(_step(work, live, pixels, machine, learning=False) for pixels in validated),
        *(
            _step(work, [part], pixels, machine, learning=False)
            for part in work.parts
            if part.views is not None
            for pixels in [*learnt, *validated]
        ),
        0,
    )
    standing = sum(standing_bytes(work.network(part), training=part.learns) for part in work.parts)
    held = room.bytes if room.device.type == machine.device.type else 0
    if machine.device.type != "cpu":
        return peak + standing + held
    trained = sum(
        standing_bytes(work.network(part), training=False) for part in work.parts if part.learns
    )
    ahead = 0 if room.bytes or not settings.workers else _AHEAD
    program: int = psutil.Process().memory_info().rss
    kept = min(peak, _MALLOC)
    return peak + standing + held + _KEPT * trained + ahead + program + kept


def _batch(
    settings: TrainingSettings,
    work: Work,
    machine: Machine,
    learnt: Sequence[Mapping[float, int]],
) -> list[dict[float, int]]:
    """Return the pixels of the largest batch that can be put together, by magnification."""
    mags = work.magnifications(work.live)
    finest = mags[0]
    of_step = sorted((pixels[finest] for pixels in learnt), reverse=True)[: settings.accumulate]
    count = round(min(budget_of(settings, work, machine), 1.3 * sum(of_step)))
    return [{mag: round(count * (mag / finest) ** 2) for mag in mags}] if count else []


def _step(
    work: Work,
    parts: Sequence[Part],
    pixels: Mapping[float, int],
    machine: Machine,
    *,
    learning: bool,
) -> int:
    """Predict what is made of images of so many pixels and gone after it."""
    images = {mag: _IMAGE * pixels[mag] for mag in work.magnifications(parts)}
    all_images = sum(images.values())
    computed = []
    for part in parts:
        network, training = work.network(part), learning and part.learns
        size, room = Size(pixels[part.magnification], 1), machine.room_bytes
        policy = choose_policy(network, size, room, training=training)
        policy = policy or least_policy(network, size, training=training)
        peak = predict_peak(network, size, policy, training=training)
        alone = peak - standing_bytes(network, training=training)
        computed.append(all_images - images[part.magnification] + alone)
    made = max(_MADE * pixels[mag] for mag in images)
    return max(made, *computed)


def _answers_bytes(work: Work, part: Part) -> int:
    """Count the bytes of what a teacher answers once, for all students."""
    if part.views is None:
        return 0
    found, teacher = 0, work.network(part)
    for student in work.live:
        network = work.network(student)
        for item, views in [
            *((item, part.views) for item in work.learnt),
            *((item, 1) for item in work.inputs.items["val"]),
        ]:
            height, width = _map_size(network, work.sizes(item)[student.magnification])
            found += views * 4 * height * width * teacher.embedding_width * len(RESIZINGS)
    return found


@lru_cache(maxsize=4096)
def _map_size(network: Network, size: Size) -> tuple[int, int]:
    return map_size(network, size)
