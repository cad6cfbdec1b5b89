import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from wsikd.errors import CheckpointError
from wsikd.models.weights import save_model
from wsikd.nuclei.network import (
    HALO,
    ConfidenceNetwork,
    FeatureNetwork,
    lift,
    lift_share,
    lower,
)
from wsikd.nuclei.weights import SegmenterDescription, load_segmenter

# convolutions without bias and the two numbers a channel of batch norm has, written out
STEM = 3 * 8 * 9 + 2 * 8
BLOCKS = 6 * 2 * (8 * 8 * 9 + 2 * 8)


@pytest.fixture
def network():
    """A network in eval mode whose batch norm has seen something."""
    torch.manual_seed(0)
    made = ConfidenceNetwork(4)
    with torch.no_grad():
        made(torch.rand(2, 3, 40, 40))
    return made.eval()


@pytest.fixture
def description():
    return SegmenterDescription(
        channels=4,
        mpp=0.25,
        balanced=True,
        nuclei_channel=3,
        inverted=False,
        threshold=0.5,
        selected_by="stain",
        score=0.4,
        is_nuclear_sized=None,
        has_converged=True,
    )


@pytest.fixture
def saved(tmp_path, network, description):
    path = tmp_path / "model.safetensors"
    save_model(network, description, path)
    return path


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("channels", "published"), [(4, 7372), (1, 7345)])
def test_has_the_published_parameters(channels, published):
    assert count(ConfidenceNetwork(channels)) == STEM + BLOCKS + 9 * channels == published


def test_has_the_10_8_thousand_parameters_of_the_title_with_its_featuriser():
    assert count(FeatureNetwork()) == 3386
    assert count(ConfidenceNetwork(4)) + count(FeatureNetwork()) == 10_758


def test_depends_on_the_published_167_pixels_across_and_no_more(network):
    network = network.double()
    # all positive, so that no path through the network cancels another
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1e-2)
    image = torch.rand(1, 3, 1, 201, dtype=torch.double).expand(-1, -1, 201, -1).clone()
    image.requires_grad_()
    network(image)[0, 0, 100, 100].backward()
    seen = image.grad.abs().sum((0, 1)) > 0
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    assert rows.tolist() == columns.tolist() == list(range(100 - 83, 100 + 83 + 1))
    assert (len(rows), HALO) == (167, 83)


def test_is_full_resolution_for_any_size(network):
    assert network(torch.rand(2, 3, 7, 13)).shape == (2, 4, 7, 13)


def test_gives_the_published_layers_written_out(network):
    """Three by three, batch norm, ELU; blocks add what two such layers make of their input."""
    states = network.state_dict()

    def layer(name, values, dilation):
        convolved = F.conv2d(
            values, states[f"{name}.0.weight"], padding=dilation, dilation=dilation
        )
        mean, variance, scale, shift = (
            states[f"{name}.1.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        normal = (convolved - mean) / (variance + 1e-5).sqrt() * scale + shift
        return torch.where(normal > 0, normal, normal.exp() - 1)

    image = torch.rand(1, 3, 60, 50)
    features = layer("stem", image, 1)
    for number, dilation in enumerate([1, 2, 3, 5, 10, 20]):
        once = layer(f"blocks.{number}.first", features, dilation)
        features = features + layer(f"blocks.{number}.second", once, dilation)
    weight, bias = states["head.weight"][:, :, 0, 0], states["head.bias"]
    logits = torch.einsum("kc,bchw->bkhw", weight, features) + bias[:, None, None]
    torch.testing.assert_close(network(image), 1 / (1 + (-logits).exp()), atol=1e-5, rtol=1e-4)


def test_featuriser_gives_32_numbers_of_grey_patches_alone():
    torch.manual_seed(0)
    featuriser = FeatureNetwork().eval()
    patches = torch.rand(3, 3, 50, 50)
    features = featuriser(patches)
    assert features.shape == (3, 32)
    torch.testing.assert_close(featuriser(patches[:, [2, 0, 1]]), features)


def test_lift_brings_bytes_to_the_published_range():
    values = torch.arange(256, dtype=torch.uint8)
    np.testing.assert_allclose(lift(values), np.arange(256) / 255 * 0.95 + 0.05, rtol=1e-6)


def test_lift_leaves_its_input_alone():
    values = torch.rand(4)
    before = values.clone()
    lower(lift_share(values))
    torch.testing.assert_close(values, before, rtol=0, atol=0)


def test_lower_undoes_the_lift():
    values = torch.arange(256, dtype=torch.uint8)
    torch.testing.assert_close(lower(lift(values)), values / 255, atol=1e-6, rtol=0)


def test_a_saved_segmenter_is_the_same_when_loaded(saved, network, description):
    loaded, about = load_segmenter(saved)
    image = torch.rand(1, 3, 30, 30)
    torch.testing.assert_close(loaded(image), network(image), rtol=0, atol=0)
    assert about == description
    assert loaded.channels == 4
    assert not loaded.training


def test_a_segmenter_is_described_in_plain_json(saved):
    assert json.loads(saved.with_suffix(".json").read_text()) == {
        "format": "wsikd-segmenter",
        "version": 1,
        "channels": 4,
        "mpp": 0.25,
        "balanced": True,
        "nuclei_channel": 3,
        "inverted": False,
        "threshold": 0.5,
        "selected_by": "stain",
        "score": 0.4,
        "is_nuclear_sized": None,
        "has_converged": True,
    }


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_refuses_a_missing_file_by_name(saved, suffix):
    saved.with_suffix(suffix).unlink()
    with pytest.raises(CheckpointError, match=rf"model\{suffix}: no such file"):
        load_segmenter(saved)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"version": 2}, "expected wsikd-segmenter version 1, found wsikd-segmenter version 2"),
        ({"format": "wsikd-model"}, "expected wsikd-segmenter version 1, found wsikd-model"),
        ({"threshold": 1.5}, r"threshold must be at most 1, got 1\.5"),
        ({"mpp": 0}, "mpp must be above 0, got 0"),
        ({"nuclei_channel": 4}, "nuclei_channel must be below channels 4, got 4"),
        ({"channels": 2, "nuclei_channel": 0}, r"head\.bias must have shape \(2,\), got \(4,\)"),
    ],
)
def test_refuses_a_description_that_breaks_a_rule(saved, changed, rule):
    path = saved.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(CheckpointError, match=rule):
        load_segmenter(saved)


def test_refuses_damaged_weights(saved):
    saved.write_bytes(saved.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: must be a safetensors file"):
        load_segmenter(saved)


def test_refuses_a_missing_tensor(saved):
    tensors = load_file(saved)
    del tensors["stem.1.running_mean"]
    save_file(tensors, saved)
    with pytest.raises(CheckpointError, match=r"tensor stem\.1\.running_mean is missing"):
        load_segmenter(saved)


def test_refuses_a_surplus_tensor(saved):
    save_file(load_file(saved) | {"extra": torch.zeros(1)}, saved)
    with pytest.raises(CheckpointError, match="tensor extra is not part of the architecture"):
        load_segmenter(saved)
