import pytest
import torch
from torch import nn

from wsikd.errors import ConfigError
from wsikd.models import Network, build_model
from wsikd.models.unet import UNet


@pytest.fixture(scope="module", params=["resnet10w32", "resnet10w32-bn"])
def unet(request):
    torch.manual_seed(0)
    return UNet(build_model(request.param, 0)).eval()


@pytest.mark.parametrize("size", [(96, 64), (97, 61), (31, 5), (1, 1)])
def test_predicts_an_image_of_the_size_of_the_one_it_saw(unet, size):
    predicted = unet(torch.randn(2, 3, *size))
    assert predicted.shape == (2, 3, *size)
    assert ((predicted >= 0) & (predicted <= 1)).all()


def test_skips_the_stem_and_every_stage(unet):
    maps = unet.encoder.map_stages(torch.randn(1, 3, 64, 96))
    assert [each.shape[1] for each in maps] == [32, 32, 64, 128, 256]
    assert [each.shape[2:] for each in maps] == [(32 // by, 48 // by) for by in (1, 2, 4, 8, 16)]
    # each step reads the map below and the skipped one
    assert [step.conv1.in_channels for step in unet.steps] == [384, 192, 96, 64]


def test_sees_the_stages_as_the_encoder_does(unet):
    image = torch.randn(1, 3, 50, 70)
    torch.testing.assert_close(unet.encoder.map_stages(image)[-1], unet.encoder(image).feature_map)


def test_what_it_paints_depends_on_what_is_skipped(unet):
    image = torch.randn(1, 3, 64, 64)
    maps = [each.detach().requires_grad_() for each in unet.encoder.map_stages(image)]
    painted = maps[-1]
    for step, skipped in zip(unet.steps, reversed(maps[:-1]), strict=True):
        painted = step(painted, skipped)
    painted.square().sum().backward()
    assert all(each.grad.abs().sum() > 0 for each in maps)


def test_teaches_the_encoder(unet):
    unet.zero_grad()
    unet(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert all(tensor.grad is not None for tensor in unet.encoder.parameters())


def test_normalises_as_its_encoder():
    kinds = {type(module) for module in UNet(build_model("resnet10w32-bn", 0)).modules()}
    assert not any(issubclass(kind, nn.GroupNorm) for kind in kinds)


def test_refuses_an_encoder_without_the_stages_of_a_resnet():
    class Other(Network):
        def stages(self):
            return {}

        def map_features(self, image):
            return image

    says = "a u-net needs an encoder with the stages of a ResNet, got Other; choose a model"
    with pytest.raises(ConfigError, match=says):
        UNet(Other())
