"""Images of unequal sizes in one batch, against the same images one at a time."""

import copy
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.builders import KINDS, build_kind
from wsikd.errors import ConfigError
from wsikd.explain.layers import watching
from wsikd.geometry import Size
from wsikd.models import build_model, groupnorm, network, resnet
from wsikd.models.groupnorm import GroupNorm, group_norm
from wsikd.models.images import Images
from wsikd.models.inside import Inside, blank

SIZES = ((1, 1), (33, 64), (70, 31), (1, 40), (65, 2), (64, 32))
EXACT = 1e-12


@cache
def trained(name):
    """Build a network with biases, as training makes them.

    With biases of 0, as they begin, a map of one pixel in groups of one channel is exactly 0 after
    its norm, and rounding alone says on which side of the ReLU.
    """
    torch.manual_seed(0)
    model = build_kind(name, 3).double()
    for part in model.modules():
        if isinstance(part, GroupNorm | nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1, 0.2)
            nn.init.normal_(part.bias, 0, 0.3)
    return model


def draw(sizes, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(3, h, w, dtype=torch.double, generator=random) for w, h in sizes]


def pack(images):
    return Images.pad(images, torch.contiguous_format)


def see(model, batches):
    """Return logits, the maps of each image, and the gradients of a loss of both."""
    model.zero_grad()
    logits, maps = [], []
    for batch in batches:
        seen = model(batch)
        height, width = seen.feature_map.shape[2:]
        sizes = seen.sizes or (Size(width, height),) * len(seen.logits)
        own = [
            one[:, : size.height, : size.width]
            for one, size in zip(seen.feature_map, sizes, strict=True)
        ]
        loss = sum((one**2).mean() for one in own) + seen.logits.logsumexp(1).sum()
        loss.backward()
        logits.append(seen.logits.detach())
        maps += [one.detach() for one in own]
    gradient = torch.cat([tensor.grad.flatten() for tensor in model.parameters()])
    return torch.cat(logits), maps, gradient


def distance(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


def largest_distance(model, packs):
    """Return the largest relative distance of anything between the packs and single images."""
    alone = see(model, [image[None] for images in packs for image in images])
    return distance_from(alone, model, packs)


def distance_from(alone, model, packs):
    packed = see(model, [pack(images) for images in packs])
    assert [one.shape for one in packed[1]] == [one.shape for one in alone[1]]
    maps = zip(packed[1], alone[1], strict=True)
    return max(
        distance(packed[0], alone[0]),
        distance(packed[2], alone[2]),
        *(distance(one, other) for one, other in maps),
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_batch_gives_what_its_images_give_alone(name):
    images, model = draw(SIZES), trained(name)
    alone = see(model, [image[None] for image in images])
    assert distance_from(alone, model, [images]) <= EXACT
    assert distance_from(alone, model, [images[:2], images[2:]]) <= EXACT


sides = st.integers(1, 70)
packings = st.lists(
    st.lists(st.tuples(sides, sides), min_size=1, max_size=4), min_size=1, max_size=2
)


@settings(max_examples=25)
@given(packings, st.integers(0, 1000))
def test_every_packing_of_images_of_any_size_gives_what_they_give_alone(packing, seed):
    packs = [draw(sizes, seed + number) for number, sizes in enumerate(packing)]
    assert largest_distance(trained("resnet10w32"), packs) <= EXACT


@pytest.mark.parametrize("name", KINDS)
def test_the_image_of_a_batch_receives_the_gradient_that_it_receives_alone(name):
    images = [image.requires_grad_() for image in draw(SIZES)]
    model = trained(name)
    packed = torch.autograd.grad(model(pack(images)).logits.square().sum(), images)
    alone = torch.autograd.grad(
        sum(model(one[None]).logits.square().sum() for one in images), images
    )
    for one, other in zip(packed, alone, strict=True):
        # a map of one pixel has no gradient but that of rounding, if a group is one channel
        assert (one - other).norm() <= EXACT * max(other.norm(), 0.1)


@pytest.mark.parametrize("name", KINDS)
def test_single_precision_loses_no_more_in_a_batch_than_alone(name):
    images = draw(SIZES)
    exact = see(trained(name), [image[None] for image in images])
    model = copy.deepcopy(trained(name)).float()
    images = [image.float() for image in images]
    packed, alone = see(model, [pack(images)]), see(model, [image[None] for image in images])
    assert distance(packed[0], exact[0]) <= 5e-6
    assert distance(packed[2], exact[2]) <= 2 * distance(alone[2], exact[2])


def normalise_over_everything(image, weight, bias, *, groups, eps, inside):
    return blank(torch.group_norm(image, groups, weight, bias, eps), inside)


def normalise_and_leave_the_rest(image, weight, bias, *, groups, eps, inside):
    outside = 0 if inside is None else bias[:, None, None] * (1 - inside.mask)
    return group_norm(image, weight, bias, groups=groups, eps=eps, inside=inside) + outside


def pool_everything(self, image, inside=None):
    return nn.MaxPool2d.forward(self, image)


ABSENT = {
    "statistics of the norm": (groupnorm, "group_norm", normalise_over_everything),
    "zeros before convolutions": (groupnorm, "group_norm", normalise_and_leave_the_rest),
    "max-pool of the stem": (resnet._MaxPool, "forward", pool_everything),
    "average pool": (network, "mean_inside", lambda feature_map, sizes: feature_map.mean((2, 3))),
}


@pytest.mark.parametrize(("owner", "name", "without"), ABSENT.values(), ids=ABSENT)
def test_the_comparison_notices_that_a_mask_is_absent(monkeypatch, owner, name, without):
    images = draw(((40, 64), (70, 34)))
    model = trained("resnet18")
    assert largest_distance(model, [images]) <= EXACT
    monkeypatch.setattr(owner, name, without)
    assert largest_distance(model, [images]) > 1e-4


def test_the_gradients_of_the_masked_norm_are_those_of_its_values():
    image = torch.randn(2, 4, 3, 5, dtype=torch.double, requires_grad=True)
    weight, bias = torch.randn(2, 4, dtype=torch.double).requires_grad_().unbind()
    inside = Inside.of(Images(image[:, :3], (Size(2, 3), Size(5, 1))))
    torch.autograd.gradcheck(
        lambda *tensors: group_norm(*tensors, groups=2, eps=1e-5, inside=inside),
        (image, weight, bias),
    )


@pytest.mark.parametrize("padding", [0, 5])
def test_images_of_one_size_are_read_bit_by_bit_as_without_sizes(padding):
    model, images = trained("resnet10w32"), torch.stack(draw([(40, 33)] * 3))
    said = Images(F.pad(images, (0, padding, 0, padding)), (Size(40, 33),) * 3)
    found, expected = model(said), model(images)
    assert found.sizes is None
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.feature_map, expected.feature_map)
    assert torch.equal(model.embed(said), expected.embedding)


def test_a_map_is_zero_beyond_each_images_part_and_at_every_stage():
    model, images = trained("resnet10w32"), pack(draw(SIZES))
    maps = {}
    with watching(model.stages(), maps.__setitem__):
        seen = model(images)
    assert seen.sizes == tuple(Size(-(-w // 32), -(-h // 32)) for w, h in SIZES)
    torch.testing.assert_close(model.embed(images), seen.embedding)
    for stage, stride in zip(maps.values(), (4, 4, 8, 16, 32), strict=True):
        for one, (width, height) in zip(stage, SIZES, strict=True):
            assert not one[:, -(-height // stride) :].any()
            assert not one[:, :, -(-width // stride) :].any()


def test_batch_norm_that_does_not_learn_packs_exactly():
    model = trained("resnet10w32-bn").eval()
    assert model.packs
    images = draw(SIZES)
    alone = torch.cat([model(image[None]).logits for image in images])
    assert distance(model(pack(images)).logits, alone) <= EXACT


def test_batch_norm_that_learns_takes_images_of_one_size_only():
    model = build_model("resnet10w32-bn", 3)
    assert not model.packs
    with pytest.raises(ConfigError, match="must learn from images of one size at a time, got seve"):
        model(pack([image.float() for image in draw(SIZES)]))
