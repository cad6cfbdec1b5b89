import pytest
import torch
from torch import nn

from wsikd.errors import ConfigError
from wsikd.models import MODELS, build_model

BASIC_BLOCK = ["conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias"]
SHORTCUT = ["downsample.0.weight", "downsample.1.weight", "downsample.1.bias"]


def test_names_its_parameters_as_torchvision_does():
    expected = ["conv1.weight", "bn1.weight", "bn1.bias"]
    expected += [f"layer1.0.{name}" for name in BASIC_BLOCK]
    for stage in (2, 3, 4):
        expected += [f"layer{stage}.0.{name}" for name in BASIC_BLOCK + SHORTCUT]
    expected += ["fc.weight", "fc.bias"]
    assert list(build_model("resnet10w32", 3).state_dict()) == expected


def test_names_the_parameters_of_a_bottleneck_as_torchvision_does():
    names = build_model("resnet50", 3).state_dict().keys()
    third = ["conv3.weight", "bn3.weight", "bn3.bias"]
    assert {f"layer1.0.{name}" for name in BASIC_BLOCK + third + SHORTCUT} <= names
    assert "layer1.1.downsample.0.weight" not in names


def test_starts_convolutions_from_he_normal_fan_out():
    torch.manual_seed(0)
    weight = build_model("resnet18", 2).layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
    assert weight.mean().item() == pytest.approx(0, abs=1e-4)


def test_normalises_in_32_groups_everywhere():
    model = build_model("resnet10w32", 3)
    norms = [module for module in model.modules() if isinstance(module, nn.GroupNorm)]
    # stem, two in each of four blocks, three shortcuts
    assert [norm.num_groups for norm in norms] == [32] * 12
    assert not [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def test_names_the_parameters_of_batch_norm_as_those_of_group_norm():
    grouped, batched = build_model("resnet50", 2), build_model("resnet50-bn", 2)
    assert [name for name, _ in grouped.named_parameters()] == [
        name for name, _ in batched.named_parameters()
    ]
    assert "layer3.0.downsample.1.running_var" in batched.state_dict()


def test_normalises_by_the_batch_everywhere_when_asked_to():
    model = build_model("resnet10w32-bn", 3)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 12
    assert not [module for module in model.modules() if isinstance(module, nn.GroupNorm)]


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("resnet")])
def test_gives_a_map_of_a_thirty_second_rounded_up_that_is_nowhere_negative(name):
    feature_map = build_model(name, 0)(torch.randn(2, 3, 65, 160)).feature_map
    assert feature_map.shape[2:] == (3, 5)
    assert (feature_map >= 0).all()


def test_refuses_an_unknown_name():
    with pytest.raises(ConfigError, match="model 'vgg' is unknown; choose one of resnet10w32"):
        build_model("vgg", 3)


def test_refuses_less_than_no_classes():
    with pytest.raises(ConfigError, match="class_count must be at least 0, got -1"):
        build_model("resnet18", -1)
