import pytest
import torch
from torch import nn

from wsikd.geometry import Size
from wsikd.models import build_model
from wsikd.models.cost import count_macs
from wsikd.models.floor import Ceilings, Work, floor_seconds, list_work

MACHINE = Ceilings(flops_per_s=788e12, bytes_per_s=4.3e12)
SIZE = Size(1024, 1024)


def picoseconds_per_pixel(name, *, training):
    work = list_work(build_model(name, 3), SIZE, training=training)
    return 1e12 * floor_seconds(work, MACHINE) / SIZE.area


def test_an_operation_takes_what_its_arithmetic_or_its_tensors_take():
    ceilings = Ceilings(flops_per_s=100, bytes_per_s=10)
    assert floor_seconds([Work("bound by arithmetic", 500, 10)], ceilings, value_bytes=2) == 5
    assert floor_seconds([Work("bound by memory", 500, 10)], ceilings, value_bytes=60) == 60


def test_the_first_convolution_and_norm_are_those_counted_by_hand():
    first, norm, *_ = list_work(build_model("resnet10w32", 3), Size(64, 32), training=False)
    assert first == Work(
        "convolution",
        flops=2 * (32 * 16) * 32 * 3 * 7 * 7,
        values=3 * 64 * 32 + 32 * 3 * 49 + 32 * 32 * 16,
    )
    assert norm == Work("native_group_norm", flops=0, values=3 * 32 * 32 * 16)


def test_learning_takes_a_convolution_three_times_and_the_first_twice():
    model = build_model("resnet10w32", 3)
    learning = [each for each in list_work(model, SIZE) if "convolution" in each.name]
    reading = [each for each in learning if each.name == "convolution"]
    stem = reading[0].flops
    assert sum(each.flops for each in learning) == 3 * sum(each.flops for each in reading) - stem


@pytest.mark.parametrize("name", ["resnet10w32", "resnet18", "resnet50"])
def test_arithmetic_of_reading_is_what_is_counted_for_the_cost(name):
    model = build_model(name, 3)
    flops = sum(each.flops for each in list_work(model, SIZE, training=False))
    (last,) = [part for part in model.modules() if isinstance(part, nn.Linear)]
    assert flops == 2 * (count_macs(model, SIZE) - last.weight.numel())


def test_floors_of_reading_are_those_worked_out_from_tables_of_layers():
    """Worked out apart, layer by layer, in picoseconds a pixel at 788 TFLOP/s and 4.3 TB/s."""
    known = {"resnet10w32": 49, "resnet18": 184, "resnet34": 318, "resnet50": 650}
    for name, expected in known.items():
        assert picoseconds_per_pixel(name, training=False) == pytest.approx(expected, rel=0.02)


def test_floors_of_learning_are_near_those_worked_out_from_tables_of_layers():
    """These leave out part of what adds the gradients of two branches."""
    known = {"resnet10w32": 129, "resnet18": 510, "resnet34": 902, "resnet50": 1827}
    for name, expected in known.items():
        assert expected <= picoseconds_per_pixel(name, training=True) < 1.04 * expected


def test_a_network_is_not_changed():
    model = build_model("resnet10w32", 3)
    before = [weight.clone() for weight in model.parameters()]
    list_work(model, Size(64, 64))
    assert all(weight.grad is None for weight in model.parameters())
    assert all(map(torch.equal, model.parameters(), before))
