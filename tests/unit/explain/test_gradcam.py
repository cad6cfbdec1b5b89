import gc

import pytest
import torch
import torch.nn.functional as F

from wsikd.errors import ConfigError
from wsikd.explain.gradcam import grad_cam
from wsikd.models import build_model


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model("resnet10w32", 3).eval()


def encoder_of(model):
    """Return the same network without its classes."""
    encoder = build_model("resnet10w32", 0)
    state = model.state_dict()
    encoder.load_state_dict({name: state[name] for name in encoder.state_dict()})
    return encoder


def images_of(*sizes):
    return torch.randn(len(sizes), 3, *sizes[0], generator=torch.Generator().manual_seed(1))


def enlarged(small, images):
    return F.interpolate(small[:, None], images.shape[2:], mode="bilinear")[:, 0]


class TestTheLastLayer:
    def test_is_weighted_by_the_classifier_as_in_cam(self, model):
        # the head is linear in the mean, so a channel's gradient is its weight over the places
        images = images_of((96, 64), (96, 64))
        seen = model(images)
        chosen = seen.logits.argmax(1)
        weights = model.fc.weight[chosen]  # (B, C)
        by_hand = (weights[:, :, None, None] * seen.feature_map).sum(1).relu() / (3 * 2)
        found = grad_cam(model, images)
        assert found.targets.tolist() == chosen.tolist()
        torch.testing.assert_close(found.maps["layer4"], enlarged(by_hand, images).detach())

    def test_of_an_encoder_is_the_likeness_of_each_place_to_the_whole(self, model):
        images = images_of((64, 64), (64, 64))
        feature_map = model(images).feature_map
        likeness = torch.einsum("bchw,bc->bhw", feature_map, feature_map.mean((2, 3))) / 4
        found = grad_cam(encoder_of(model), images)
        assert found.targets is None
        torch.testing.assert_close(found.maps["layer4"], enlarged(likeness, images).detach())


@pytest.mark.usefixtures("small_timm")
def test_a_network_is_explained_at_the_stages_it_declares():
    torch.manual_seed(0)
    network, images = build_model("mobilenetv2", 3).eval(), images_of((71, 40), (71, 40))
    found = grad_cam(network, images, target=2).maps
    assert list(found) == ["blocks.0", "blocks.1", "head"]
    feature_map = network(images).feature_map  # of 3 x 2 places
    by_hand = torch.einsum("bchw,c->bhw", feature_map, network.fc.weight[2]).relu() / 6
    torch.testing.assert_close(found["head"], enlarged(by_hand, images).detach())


@pytest.mark.parametrize(
    ("layer", "rest"),
    [
        ("stem", ["layer1", "layer2", "layer3", "layer4"]),
        ("layer1", ["layer2", "layer3", "layer4"]),
        ("layer2", ["layer3", "layer4"]),
        ("layer3", ["layer4"]),
    ],
)
def test_an_earlier_layer_is_weighted_by_its_mean_gradient(model, layer, rest):
    images = images_of((48, 80), (48, 80))
    seen = F.relu(model.bn1(model.conv1(images)))
    seen = model.maxpool(seen)
    for name in [f"layer{number}" for number in range(1, 5 - len(rest))]:
        seen = getattr(model, name)(seen)
    seen = seen.detach().requires_grad_()
    last = seen
    for name in rest:
        last = getattr(model, name)(last)
    model.fc(last.mean((2, 3)))[:, 1].sum().backward()
    weights = seen.grad.mean((2, 3), keepdim=True)
    by_hand = enlarged((weights * seen).sum(1).relu(), images).detach()
    model.zero_grad()
    torch.testing.assert_close(grad_cam(model, images, target=1).maps[layer], by_hand)


@pytest.mark.parametrize("size", [(1, 1), (33, 7), (224, 100)])
def test_maps_have_the_size_of_the_images_whatever_it_is(model, size):
    maps = grad_cam(model, images_of(size)).maps
    assert list(maps) == ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert {tuple(one.shape) for one in maps.values()} == {(1, *size)}
    assert all((one >= 0).all() for one in maps.values())


def test_an_image_is_explained_alike_whatever_is_beside_it(model):
    images = images_of((64, 64), (64, 64), (64, 64))
    together, alone = grad_cam(model, images).maps, grad_cam(model, images[1:2]).maps
    for layer in alone:
        torch.testing.assert_close(together[layer][1:2], alone[layer])


def test_a_network_with_frozen_weights_is_explained_alike(model):
    images = images_of((32, 32))
    expected = grad_cam(model, images).maps
    found = grad_cam(model.requires_grad_(requires_grad=False), images).maps
    for layer in expected:
        torch.testing.assert_close(found[layer], expected[layer])


def test_memory_does_not_grow_over_100_images(model):
    def tensors():
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())

    image = images_of((8, 8))
    grad_cam(model, image)
    before = tensors()
    kept = [grad_cam(model, image).maps["layer4"] for _ in range(100)]
    assert all(one.grad_fn is None for one in kept)  # a graph would keep every activation
    del kept
    assert tensors() == before
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert not any(module._backward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_class_that_does_not_exist_is_refused(model):
    with pytest.raises(ConfigError, match="target must be below the 3 classes, got 3"):
        grad_cam(model, images_of((32, 32)), target=3)
