"""Every way of computing a network gives the same, and keeps less than the one before."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import KINDS, build_kind
from wsikd.models import build_model, tiles
from wsikd.models.footprint import Allocations
from wsikd.models.groupnorm import GroupNorm
from wsikd.models.images import Images
from wsikd.models.policies import POLICIES
from wsikd.models.seeding import build_seeded
from wsikd.models.tiles import pooled_stem

SAME = POLICIES[1:3]  # bit by bit


def draw(*shape, dtype=torch.float):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def learn(model, images, policy):
    """Return the logits and all gradients."""
    model.policy = policy
    model.zero_grad()
    seen = model(images)
    (seen.logits.square().sum() + seen.embedding.square().sum()).backward()
    return seen.logits.detach(), torch.cat([one.grad.flatten() for one in model.parameters()])


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-12 * other.norm()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_computing_again_gives_the_same_bit_by_bit(name, layout):
    model = build_kind(name, 3).to(memory_format=layout)
    images = draw(2, 3, 65, 70).to(memory_format=layout)
    plain = learn(model, images, "plain")
    for policy in SAME:
        for found, expected in zip(learn(model, images, policy), plain, strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_a_padded_batch_is_the_same_bit_by_bit_whatever_is_kept(policy):
    model = build_seeded("resnet18", 3, seed=0)
    images = Images.pad([draw(3, 40, 70), draw(3, 65, 33)], torch.contiguous_format)
    plain = learn(model, images, "plain")
    for found, expected in zip(learn(model, images, policy), plain, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("name", KINDS)
def test_a_tiled_stem_gives_the_same_up_to_rounding(monkeypatch, name):
    monkeypatch.setattr(tiles, "BAND", 2 * 4 * 70 * 3)  # 3 rows of the pooled map
    model = build_kind(name, 3).double()
    images = draw(2, 3, 75, 70, dtype=torch.double)
    assert_close(learn(model, images, "tiled"), learn(model, images, "plain"))
    expected, model.policy = learn(model, images, "plain")[0], "tiled"
    with torch.no_grad():
        assert_close([model(images).logits], [expected])


def assert_bands_change_nothing(norm, kernel, images):
    """Compare the stem's values and gradients with those of PyTorch's operations on the whole."""
    tensors = (kernel, norm.weight, norm.bias)
    convolved = F.conv2d(images, kernel, stride=2, padding=3)
    normalised = F.group_norm(convolved, norm.num_groups, norm.weight, norm.bias, norm.eps)
    whole = F.max_pool2d(normalised.relu(), 3, stride=2, padding=1)
    tiled = pooled_stem(images, kernel, norm)
    weights = draw(*whole.shape, dtype=torch.double)
    found, expected = (
        torch.autograd.grad((pooled * weights).sum(), tensors) for pooled in (tiled, whole)
    )
    assert_close([tiled, *found], [whole, *expected])


@pytest.mark.parametrize("channels", [32, 64])
@given(st.integers(5, 60), st.integers(5, 60), st.integers(1, 6), st.integers(1, 2))
def test_a_tiled_stem_gives_the_same_whatever_the_bands(channels, width, height, rows, count):
    norm = GroupNorm(channels).double()
    torch.nn.init.normal_(norm.weight, 1, 0.2)
    torch.nn.init.normal_(norm.bias, 0, 0.3)
    kernel = draw(channels, 3, 7, 7, dtype=torch.double).requires_grad_()
    images = 2 + draw(count, 3, height, width, dtype=torch.double)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "BAND", 4 * width * count * rows)
        assert_bands_change_nothing(norm, kernel, images)


def test_an_image_that_is_looked_at_receives_its_gradient_under_every_policy():
    model = build_seeded("resnet10w32", 3, seed=0)
    image = draw(1, 3, 64, 96).requires_grad_()
    gradients = []
    for policy in POLICIES:
        model.policy = policy
        gradients.append(torch.autograd.grad(model(image).logits[0, 0], image)[0])
    assert all(torch.equal(gradients[0], one) for one in gradients[1:])


@pytest.mark.parametrize("name", KINDS)
def test_each_policy_has_less_alive_after_reading_than_the_one_before(name):
    model, image, alive = build_kind(name, 3), draw(1, 3, 128, 128), []
    for policy in POLICIES[:3]:
        model.policy = policy
        with Allocations() as seen:
            logits = model(image).logits
            alive.append(seen.alive)
        assert logits.requires_grad  # so all that the backward pass needs is there
    assert alive[0] > 1.2 * alive[1]
    assert alive[1] > 1.2 * alive[2]


@pytest.mark.parametrize("training", [True, False])
def test_a_tiled_stem_never_holds_a_map_of_half_the_resolution(monkeypatch, training):
    monkeypatch.setattr(tiles, "BAND", 1024 * 64)
    model, image = build_seeded("resnet10w32", 3, seed=0), draw(1, 3, 1024, 1024)
    half = 32 * 512 * 512 * 4  # bytes
    largest = {}
    for policy in ("plain", "tiled"):
        model.policy = policy
        with Allocations() as seen, torch.set_grad_enabled(training):
            logits = model(image).logits
            if training:
                logits.sum().backward()
        largest[policy] = seen.largest
    assert largest["plain"] == half
    assert largest["tiled"] <= half / 4  # the pooled map


def test_batch_norm_is_computed_in_the_plain_way_alone():
    assert build_model("resnet18", 2).policies == POLICIES
    assert build_model("resnet18-bn", 2).policies == ("plain",)
