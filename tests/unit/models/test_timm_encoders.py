import sys

import pytest
import torch
from torch import nn

from wsikd.errors import ConfigError
from wsikd.explain.layers import watching
from wsikd.models import build_model
from wsikd.models.timm_encoders import TIMM_NAMES, TimmEncoder


@pytest.fixture
def as_timm(tmp_path, monkeypatch):
    """Let `import timm` run a text."""

    def run(text):
        (tmp_path / "timm.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
            monkeypatch.delitem(sys.modules, name)

    yield run
    sys.modules.pop("timm", None)


@pytest.fixture
def make(small_timm):
    return lambda class_count: build_model("mobilenetv2", class_count)


def test_sees_what_the_body_makes_of_an_image(make):
    encoder, image = make(4).eval(), torch.rand(2, 3, 71, 40)
    assert isinstance(encoder, TimmEncoder)
    seen = encoder(image)
    torch.testing.assert_close(seen.feature_map, encoder.body.forward_features(image))
    by_hand = seen.feature_map.flatten(2).mean(2) @ encoder.fc.weight.T + encoder.fc.bias
    torch.testing.assert_close(seen.logits, by_hand)


def test_an_encoder_without_classes_has_no_last_layer(make):
    encoder = make(0)
    assert {name.split(".")[0] for name in encoder.state_dict()} == {"body"}
    assert encoder(torch.rand(2, 3, 40, 40)).logits.shape == (2, 0)
    assert encoder.embedding_width == 6


def test_has_the_stages_that_timm_declares_and_a_head_where_the_last_is_widened(make):
    encoder, seen = make(0).eval(), {}
    stages = encoder.stages()
    assert list(stages) == ["blocks.0", "blocks.1", "head"]
    with watching(stages, seen.__setitem__):
        feature_map = encoder(torch.rand(1, 3, 71, 40)).feature_map
    assert [tuple(one.shape[1:]) for one in seen.values()] == [(4, 9, 5), (5, 3, 2), (6, 3, 2)]
    assert seen["head"] is feature_map
    assert encoder.stride == 32


def test_has_no_head_where_the_last_declared_map_is_as_wide_as_the_bodys(make):
    body = make(0).body
    body.num_features, body.conv_head = 5, nn.Identity()
    assert list(TimmEncoder(body, 0).stages()) == ["blocks.0", "blocks.1"]


@pytest.mark.parametrize("name", TIMM_NAMES)
@pytest.mark.usefixtures("small_timm")
def test_asks_timm_for_the_network_by_its_name_there(name):
    assert build_model(name, 0).body.name == TIMM_NAMES[name]


def test_pads_small_images_by_the_mean_colour(make):
    encoder, image = make(0).eval(), torch.rand(1, 3, 2, 9)
    padded = nn.functional.pad(image, (0, 0, 0, 5))
    torch.testing.assert_close(encoder(image).embedding, encoder(padded).embedding)


def test_refuses_to_learn_from_a_single_value_per_channel(make):
    with pytest.raises(ConfigError, match="batch normalisation must have at least 2 values"):
        make(2)(torch.rand(1, 3, 20, 20))


def test_says_how_to_get_timm_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    says = r"model 'mobilenetv2' needs timm, which is not installed; pip install 'wsikd\[timm\]'"
    with pytest.raises(ConfigError, match=says):
        build_model("mobilenetv2", 2)


def test_says_why_timm_cannot_be_imported(as_timm):
    as_timm("raise RuntimeError('operator torchvision::nms does not exist')")
    says = (
        "model 'xception' needs timm, which cannot be imported: operator torchvision::nms does not "
        "exist; install the torchvision that was made for this torch"
    )
    with pytest.raises(ConfigError, match=says):
        build_model("xception", 2)
