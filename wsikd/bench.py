"""How near to its limits a machine computes networks: a table to compare and to report.

The limits are measured first: the rate of a copy of a large tensor and of products of large
matrices, on a GPU in bfloat16. A network's share of its floor (`wsikd.models.floor`) is then the
least time that its operations could take at these rates, over the time that they take.
"""

import platform
from collections.abc import Iterator

import torch
from pydantic import BaseModel, Field

from wsikd.config import Settings
from wsikd.geometry import Size
from wsikd.methods.speed import make_ready, noise
from wsikd.models import ModelName
from wsikd.models.floor import Ceilings, floor_seconds, list_work
from wsikd.models.seeding import build_seeded
from wsikd.training.device import Kernels, Precision
from wsikd.training.machine import Machine
from wsikd.training.optimizer import build_optimizer
from wsikd.training.settings import TrainingSettings
from wsikd.training.timing import seconds_of

_COPIED_BYTES = {"cpu": 2**27, "cuda": 2**30}  # beyond the caches
_SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices
_IMAGE_SIDES = {"cpu": 512, "cuda": 2048}
_SMALL, _SMALL_COUNT = Size(224, 224), 32  # 0.05 MPix: a student's regions of one step


class BenchSettings(Settings):
    """What is measured, and for how long."""

    models: tuple[ModelName, ...] = Field(
        ("resnet10w32", "resnet18", "resnet50"), min_length=1, description="networks to measure"
    )
    seconds: float = Field(10.0, gt=0, le=600, description="of each row")
    side: int | None = Field(
        None, ge=32, le=32768, description="of the image, in pixels; unset: 512, on a GPU 2048"
    )
    device: str = Field("auto", description="such as cpu or cuda:1; auto: a GPU if there is one")
    precision: Precision = Field("auto", description="of the maps between layers, as of a training")
    kernels: Kernels = Field("eager", description="of group normalisation, as of a training")


class Row(BaseModel, frozen=True):
    """What was measured.

    Attributes
    ----------
    what : str
        Words for it.
    rate : float
        How much of it a second.
    unit : str
        Of the rate.
    share : float, optional
        Of the floor.
    """

    what: str
    rate: float
    unit: str
    share: float | None = None

    def __str__(self) -> str:
        share = "" if self.share is None else f"  {self.share:.3f} of the floor"
        return f"{self.what:36} {self.rate:10.3g} {self.unit}{share}"


def describe_machine(machine: Machine) -> str:
    """Return one line on what is measured."""
    name = platform.processor() or platform.machine()
    if machine.device.type == "cuda":
        name = torch.cuda.get_device_name(machine.device)
    threads = f", {torch.get_num_threads()} threads" if machine.device.type == "cpu" else ""
    return f"{name}{threads}, torch {torch.__version__}, {machine.way.told()}"


def bench(settings: BenchSettings, machine: Machine) -> Iterator[Row]:
    """Yield what is measured, one row after the other.

    Parameters
    ----------
    settings : BenchSettings
        What, and for how long.
    machine : Machine
        Where.
    """
    ceilings, precision = measure_ceilings(machine, settings.seconds), _best_precision(machine)
    yield Row(what="copy of a large tensor", rate=ceilings.bytes_per_s / 1e9, unit="GB/s")
    products = f"product of {str(precision).removeprefix('torch.')} matrices"
    yield Row(what=products, rate=ceilings.flops_per_s / 1e12, unit="TFLOP/s")
    side = settings.side or _IMAGE_SIDES.get(machine.device.type, _IMAGE_SIDES["cuda"])
    for model in settings.models:
        yield from _measure_network(model, Size(side, side), machine, ceilings, settings.seconds)
    yield _measure_step(settings, machine)
    yield _measure_feed(Size(side, side), machine, settings.seconds)


def measure_ceilings(machine: Machine, seconds: float) -> Ceilings:
    """Measure the rates of a copy and of products, for so many seconds each."""
    kind = machine.device.type
    with torch.device(machine.device):
        values = torch.zeros(_COPIED_BYTES.get(kind, _COPIED_BYTES["cuda"]) // 4)
        copy = torch.empty_like(values)
        side = _SIDES.get(kind, _SIDES["cuda"])
        matrix = torch.randn(side, side).to(_best_precision(machine))
    moved = 2 * values.nbytes / seconds_of(lambda: copy.copy_(values), machine, seconds)
    flops = 2 * side**3 / seconds_of(lambda: matrix @ matrix, machine, seconds)
    return Ceilings(flops, moved)


def _best_precision(machine: Machine) -> torch.dtype:
    """Return that of the floor: on a GPU bfloat16, whatever networks are computed in."""
    return torch.float32 if machine.device.type == "cpu" else torch.bfloat16


def _measure_network(
    model: str, size: Size, machine: Machine, ceilings: Ceilings, seconds: float
) -> Iterator[Row]:
    network = build_seeded(model, 2, seed=0)
    floors = [
        floor_seconds(list_work(network, size, training=training), ceilings,
                      value_bytes=_best_precision(machine).itemsize)
        for training in (True, False)
    ]  # fmt: skip
    read, images = machine.reading(machine.place(network)), noise([size], machine)

    def learn() -> None:
        torch.autograd.backward(read(images).logits.sum())

    @torch.no_grad()
    def look() -> None:
        read(images)

    for verb, compute, floor in (("learns", learn, floors[0]), ("reads", look, floors[1])):
        spent = seconds_of(compute, machine, seconds / 2)
        what = f"{model} {verb}, {size.width} x {size.height}"
        yield Row(what=what, rate=size.area / spent / 1e6, unit="MPix/s", share=floor / spent)


def _measure_step(settings: BenchSettings, machine: Machine) -> Row:
    """Measure steps of a student's small regions, the optimizer's part among them."""
    model = settings.models[0]
    network = machine.place(build_seeded(model, 2, seed=0))
    read, images = machine.reading(network), noise([_SMALL] * _SMALL_COUNT, machine)
    adam = build_optimizer(network, TrainingSettings())

    def step() -> None:
        adam.zero_grad()
        torch.autograd.backward(read(images).logits.sum())
        adam.step()

    spent = seconds_of(step, machine, settings.seconds)
    what = f"{model} steps, {_SMALL_COUNT} of {_SMALL.width} x {_SMALL.height}"
    return Row(what=what, rate=1 / spent, unit="steps/s")


def _measure_feed(size: Size, machine: Machine, seconds: float) -> Row:
    spent = seconds_of(lambda: make_ready([size], machine), machine, seconds)
    return Row(what="regions varied, standardised", rate=size.area / spent / 1e6, unit="MPix/s")
