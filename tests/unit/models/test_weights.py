import json

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from wsikd.errors import CheckpointError
from wsikd.models import build_model
from wsikd.models.weights import ModelDescription, load_encoder, load_model, save_model


@pytest.fixture
def description():
    return ModelDescription(
        architecture="resnet10w32",
        classes=("colon", "liver"),
        magnification=1.25,
        mpp=8.0,
        mean=(0.8, 0.6, 0.7),
        std=(0.1, 0.2, 0.15),
    )


@pytest.fixture
def saved(tmp_path, description):
    path = tmp_path / "model.safetensors"
    save_model(build_model("resnet10w32", 2), description, path)
    return path


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_gives_back_the_same_model_and_description(tmp_path, description):
    model = build_model("resnet10w32", 2).to(memory_format=torch.channels_last)
    path = tmp_path / "model-last.safetensors"
    save_model(model, description, path)
    loaded, loaded_description = load_model(path)
    image = torch.rand(1, 3, 40, 40)
    torch.testing.assert_close(loaded(image).logits, model(image).logits)
    assert loaded_description == description
    assert not loaded.training


@pytest.mark.parametrize("architecture", ["resnet10w32", "resnet10w32-bn"])
def test_gives_back_an_encoder_without_classes(tmp_path, description, architecture):
    about = description.model_copy(update={"architecture": architecture, "classes": ()})
    encoder = build_model(architecture, 0)
    encoder(torch.rand(2, 3, 40, 40))  # moves the running statistics of batch norm
    save_model(encoder, about, tmp_path / "model.safetensors")
    loaded, loaded_about = load_model(tmp_path / "model.safetensors")
    image = torch.rand(1, 3, 40, 40)
    torch.testing.assert_close(loaded(image).embedding, encoder.eval()(image).embedding)
    assert loaded_about == about


def test_describes_the_model_in_plain_json(saved):
    assert json.loads(saved.with_suffix(".json").read_text()) == {
        "format": "wsikd-model",
        "version": 1,
        "architecture": "resnet10w32",
        "classes": ["colon", "liver"],
        "magnification": 1.25,
        "mpp": 8.0,
        "mean": [0.8, 0.6, 0.7],
        "std": [0.1, 0.2, 0.15],
    }


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_refuses_a_missing_file_by_name(saved, suffix):
    saved.with_suffix(suffix).unlink()
    with pytest.raises(CheckpointError, match=rf"model\{suffix}: no such file"):
        load_model(saved)


def test_refuses_another_format_version(saved):
    change(saved.with_suffix(".json"), version=3, added_later=True)
    with pytest.raises(CheckpointError, match=r"version 1, found wsikd-model version 3"):
        load_model(saved)


def test_refuses_a_description_that_is_no_json(saved):
    saved.with_suffix(".json").write_text("{")
    with pytest.raises(CheckpointError, match=r"model\.json: must be JSON"):
        load_model(saved)


def test_refuses_a_description_that_is_no_mapping(saved):
    saved.with_suffix(".json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"model\.json: must hold a mapping, got list"):
        load_model(saved)


def test_refuses_a_description_that_breaks_a_rule(saved):
    change(saved.with_suffix(".json"), mpp=0)
    with pytest.raises(CheckpointError, match="mpp must be above 0, got 0"):
        load_model(saved)


def test_refuses_an_unknown_architecture(saved):
    change(saved.with_suffix(".json"), architecture="vgg")
    with pytest.raises(CheckpointError, match=r"model\.json: model 'vgg' is unknown"):
        load_model(saved)


def test_refuses_damaged_weights(saved):
    saved.write_bytes(saved.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: must be a safetensors file"):
        load_model(saved)


def test_refuses_a_tensor_of_another_shape(saved):
    change(saved.with_suffix(".json"), classes=["a", "b", "c"])
    with pytest.raises(
        CheckpointError, match=r"tensor fc\.bias must have shape \(3,\), got \(2,\)"
    ):
        load_model(saved)


def test_refuses_a_missing_tensor(saved):
    tensors = load_file(saved)
    del tensors["bn1.bias"]
    save_file(tensors, saved)
    with pytest.raises(CheckpointError, match=r"tensor bn1\.bias is missing"):
        load_model(saved)


def test_refuses_a_surplus_tensor(saved):
    save_file(load_file(saved) | {"extra": torch.zeros(1)}, saved)
    with pytest.raises(CheckpointError, match="tensor extra is not part of the architecture"):
        load_model(saved)


def test_a_standard_deviation_must_be_above_zero(description):
    with pytest.raises(ValidationError, match="greater than 0"):
        ModelDescription(**description.model_dump() | {"std": (0.1, 0.0, 0.1)})


@pytest.mark.parametrize("class_count", [0, 2])
def test_reads_the_encoder_of_a_model_with_classes_or_without(tmp_path, description, class_count):
    path = tmp_path / "model.safetensors"
    model = build_model("resnet10w32", class_count)
    about = description.model_copy(update={"classes": ("colon", "liver")[:class_count]})
    save_model(model, about, path)
    encoder, found = load_encoder(path)
    image = torch.rand(1, 3, 40, 40)
    torch.testing.assert_close(encoder(image).embedding, model(image).embedding)
    assert encoder(image).logits.shape == (1, 0)
    assert (found, encoder.training) == (about, False)


def spoil_tensors(path):
    path.write_bytes(b"{}")


def spoil_description(path):
    path.with_suffix(".json").write_text("{")


def take_another_shape(path):
    change(path.with_suffix(".json"), classes=["a", "b", "c", "d", "e", "f", "g"])


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_tensors,
        spoil_description,
        take_another_shape,
        lambda path: path.unlink(),
        lambda path: change(path.with_suffix(".json"), architecture="resnet1"),
    ],
)
def test_what_cannot_be_read_names_the_folder_to_train_again(saved, spoil):
    spoil(saved)
    with pytest.raises(CheckpointError) as refused:
        load_model(saved)
    assert str(refused.value).endswith(f"; remove {saved.parent} and train it again")
