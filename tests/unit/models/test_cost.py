import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from wsikd.geometry import Size
from wsikd.models import build_model
from wsikd.models.cost import count_macs


def test_counts_the_multiples_of_32_by_hand():
    # per input pixel: stem at 1/4, stage 1 at 1/16, then each stage at a quarter of the last
    stem = 7 * 7 * 3 * 32 / 4
    first = 2 * 9 * 32 * 32 / 16
    others = [
        (9 * width * 2 * width + 9 * (2 * width) ** 2 + width * 2 * width) / area
        for width, area in ((32, 64), (64, 256), (128, 1024))
    ]
    per_pixel = stem + first + sum(others)
    assert per_pixel == 5016
    assert count_macs(build_model("resnet10w32", 3), Size(256, 64)) == 256 * 64 * 5016 + 3 * 256


@pytest.mark.parametrize("name", ["resnet10w32", "resnet18", "resnet50"])
@pytest.mark.parametrize("size", [Size(97, 61), Size(1, 1), Size(33, 200)])
def test_agrees_with_the_flop_counter_of_torch(name, size):
    model = build_model(name, 5)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, size.height, size.width))
    assert 2 * count_macs(model, size) == counter.get_total_flops()


def test_leaves_the_model_as_it_was():
    model = build_model("resnet10w32", 2)
    count_macs(model, Size(32, 32))
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    assert not any(module._forward_hooks for module in model.modules())
