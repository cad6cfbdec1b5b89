"""Networks whose maps are bfloat16, and those whose norms are kernels, beside the usual ones."""

import os

import pytest
import torch
import torch.nn.functional as F

from wsikd.errors import ConfigError
from wsikd.models.groupnorm import GroupNorm
from wsikd.models.images import Images
from wsikd.models.policies import POLICIES
from wsikd.models.seeding import build_seeded
from wsikd.training.device import Way, place


def draw(*shapes):
    random = torch.Generator().manual_seed(0)
    images = [torch.randn(3, height, width, generator=random) for width, height in shapes]
    return Images.pad(images, torch.channels_last)


def see(network, images):
    """Return what a network sees, and the gradient of a loss of it."""
    network.zero_grad()
    seen = network(images)
    (seen.logits.logsumexp(1).sum() + seen.feature_map.square().mean()).backward()
    return seen, torch.cat([weight.grad.flatten() for weight in network.parameters()])


def rounded(name="resnet10w32", policy="plain"):
    network = build_seeded(name, 3, seed=0)
    network.precision, network.policy = torch.bfloat16, policy
    return network


def distance(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("name", ["resnet10w32", "resnet18"])
def test_maps_of_bfloat16_change_little(name):
    images = draw((96, 80), (50, 70))
    exact, gradient = see(build_seeded(name, 3, seed=0), images)
    found, its_gradient = see(rounded(name), images)
    assert 0 < distance(found.logits, exact.logits) < 0.02
    assert 0 < distance(found.feature_map, exact.feature_map) < 0.05
    assert F.cosine_similarity(its_gradient, gradient, dim=0) > 0.98


def test_between_layers_maps_are_bfloat16_and_all_else_is_float32():
    network, kinds = rounded(), {}
    for name, layer in network.named_modules():
        layer.register_forward_hook(lambda *told, name=name: kinds.update({name: told[2]}))
    seen, gradient = see(network, draw((64, 64)))
    between = {name: kinds[name].dtype for name in ("conv1", "bn1", "maxpool", "layer2", "layer4")}
    assert set(between.values()) == {torch.bfloat16}
    assert {kinds["fc"].dtype, seen.logits.dtype, seen.feature_map.dtype} == {torch.float32}
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert gradient.dtype == torch.float32


@pytest.mark.parametrize("policy", [one for one in POLICIES if one != "tiled"])
def test_every_policy_gives_the_same_bits_in_bfloat16(policy):
    images = draw((96, 80), (50, 70))
    plain, gradient = see(rounded(), images)
    found, its_gradient = see(rounded(policy=policy), images)
    assert torch.equal(found.logits, plain.logits)
    assert torch.equal(its_gradient, gradient)


def test_gradients_are_numbers_on_maps_of_a_pixel():
    """PyTorch's convolution of bfloat16 on a CPU made some of these none, now and then."""
    for seed in range(20):
        network = build_seeded("resnet10w32", 2, seed=seed)
        network.precision = torch.bfloat16
        _, gradient = see(network, draw((8 + seed % 7, 18 - seed % 5)))
        assert gradient.isfinite().all()


def test_a_tiled_stem_rounds_what_it_convolves_and_pools():
    """Its norm is not rounded, so that it is nearer to float32 than the plain way."""
    images = draw((160, 140))
    exact, _ = see(build_seeded("resnet10w32", 3, seed=0), images)
    tiled, gradient = see(rounded(policy="tiled"), images)
    assert distance(tiled.logits, exact.logits) < 0.02
    assert F.cosine_similarity(gradient, see(rounded(), images)[1], dim=0) > 0.99


def test_padding_and_masks_are_exact_up_to_rounding_in_bfloat16():
    shapes = [(200, 90), (64, 130)]
    together, _ = see(rounded(), draw(*shapes))
    random = torch.Generator().manual_seed(0)
    network = rounded()
    for index, (width, height) in enumerate(shapes):
        image = torch.randn(3, height, width, generator=random)[None]
        alone = network(image.contiguous(memory_format=torch.channels_last))
        assert distance(together.logits[index], alone.logits[0]) < 5e-3


@pytest.mark.parametrize("way", [Way(torch.bfloat16), Way(fused=True)])
def test_networks_without_group_normalisation_are_refused(way):
    network = build_seeded("resnet10w32-bn", 3, seed=0)
    with pytest.raises(ConfigError, match="no group normalisation"):
        way.bring(network)
    assert Way().bring(network) is network


@pytest.mark.skipif(
    not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1",
    reason="needs Triton's interpreter or a CUDA device",
)
def test_a_network_of_fused_norms_sees_and_learns_the_same():
    pytest.importorskip("triton", reason="Triton is not there for this platform")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = draw((40, 33), (20, 37))
    images = images._replace(pixels=images.pixels.to(device))
    plain, gradient = see(place(build_seeded("resnet10w32", 3, seed=0), device), images)
    network = place(Way(fused=True).bring(build_seeded("resnet10w32", 3, seed=0)), device)
    assert all(part.fused for part in network.modules() if isinstance(part, GroupNorm))
    found, its_gradient = see(network, images)
    assert distance(found.logits, plain.logits) < 1e-5
    assert distance(found.feature_map, plain.feature_map) < 1e-5
    assert distance(its_gradient, gradient) < 1e-4


def test_a_cpu_computes_as_usual_unless_it_is_told():
    cpu = torch.device("cpu")
    assert Way.choose(cpu, "auto", "eager") == Way()
    assert Way.choose(cpu, "bf16", "eager").precision == torch.bfloat16
    with pytest.raises(ConfigError, match="--kernels fused needs a GPU, the device is cpu"):
        Way.choose(cpu, "auto", "fused")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_with_fused_kernels_rounds_by_itself():
    gpu = torch.device("cuda")
    way = Way.choose(gpu, "auto", "fused")
    assert way.fused
    assert (way.precision is not None) == (torch.cuda.get_device_capability() >= (8, 0))
    assert Way.choose(gpu, "fp32", "fused").precision is None
    assert Way.choose(gpu, "auto", "eager") == Way()
