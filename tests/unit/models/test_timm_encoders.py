import sys

import pytest
import torch
from torch import nn

from wsikd.errors import ConfigError
from wsikd.models import build_model
from wsikd.models.timm_encoders import TIMM_NAMES, TimmEncoder

# stands in for the library, which may be missing
TIMM = """
import torch


class Body(torch.nn.Module):
    num_features = 6

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 6, 7, stride=32)  # unpadded, as in Xception
        self.norm = torch.nn.BatchNorm2d(6)

    def forward_features(self, image):
        return self.norm(self.stem(image))


def create_model(name, **options):
    assert options == {"pretrained": False, "num_classes": 0, "global_pool": ""}
    body = Body()
    body.name = name
    return body
"""


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
def make(as_timm):
    as_timm(TIMM)
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


@pytest.mark.parametrize("name", TIMM_NAMES)
def test_asks_timm_for_the_network_by_its_name_there(as_timm, name):
    as_timm(TIMM)
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
