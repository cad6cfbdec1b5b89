"""A model on disk: its tensors in safetensors, and a description of what it reads beside them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn

from wsikd.config import Settings, SettingsType, load_document
from wsikd.errors import CheckpointError, ConfigError
from wsikd.files import replacing, write_json
from wsikd.models.build import build_model
from wsikd.models.network import Network

Positive = Annotated[float, Field(gt=0)]


class ModelDescription(Settings):
    """What a model is and which pixels it reads: `model.json`."""

    format: Literal["wsikd-model"] = "wsikd-model"
    version: Literal[1] = 1
    architecture: str = Field(description="key of MODELS")
    classes: tuple[str, ...] = Field(description="in the order of the logits; an encoder has none")
    magnification: Positive = Field(description="nominal, of the pixels it reads")
    mpp: Positive = Field(description="µm per pixel of the pixels it reads")
    mean: tuple[float, float, float] = Field(description="of red, green, blue, in 0 to 1")
    std: tuple[Positive, Positive, Positive] = Field(description="of red, green, blue, in 0 to 1")


def save_model(model: nn.Module, description: Settings, path: Path) -> None:
    """Write a model atomically: the weights to `path`, then its description beside them.

    Parameters
    ----------
    model : nn.Module
        On any device.
    description : ModelDescription, or another kind of model's own
        Written under the name of `path` with the suffix ".json".
    path : Path
        File with the suffix ".safetensors".
    """
    keep_model(model, description)(path)


def keep_model(model: nn.Module, description: Settings) -> Callable[[Path], None]:
    """Return what writes a model as it is now, as `save_model` does, however it is trained on."""
    tensors = {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in model.state_dict().items()
    }

    def write(path: Path) -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(serialise(tensors, metadata={"format": "pt"}))
        write_json(path.with_suffix(".json"), description.model_dump(mode="json"))

    return write


def load_model(path: Path) -> tuple[Network, ModelDescription]:
    """Read a model that `save_model` wrote, on the CPU and in eval mode.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged or of another format version, or if any tensor is missing,
        surplus or of another shape than the architecture asks for.
    """
    description = load_description(path, ModelDescription)
    try:
        model = build_model(description.architecture, len(description.classes))
    except ConfigError as error:
        raise CheckpointError(f"{path.with_suffix('.json')}: {error}; {_remedy(path)}") from None
    load_tensors(model, path)
    return model.eval(), description


def load_description(path: Path, kind: type[SettingsType]) -> SettingsType:
    """Read the description beside a model that `save_model` wrote to `path`.

    Raises
    ------
    CheckpointError
        If it is missing, damaged or of another format version.
    """
    return load_document(path.with_suffix(".json"), kind, CheckpointError, _remedy(path))


def load_encoder(path: Path) -> tuple[Network, ModelDescription]:
    """Read a model that `save_model` wrote, without its last layer if it has one.

    Raises
    ------
    CheckpointError
        As `load_model`.
    """
    model, description = load_model(path)
    encoder, tensors = build_model(description.architecture, 0), model.state_dict()
    encoder.load_state_dict({name: tensors[name] for name in encoder.state_dict()})
    return encoder.eval(), description


def load_tensors(model: nn.Module, path: Path) -> None:
    """Read the tensors of a file into a model.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged, or any tensor is missing, surplus or of another shape.
    """
    tensors = _read_tensors(path)
    problem = find_other_tensor(model.state_dict(), tensors)
    if problem is not None:
        raise CheckpointError(f"{path}: tensor {problem}; {_remedy(path)}")
    model.load_state_dict(tensors)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; {_remedy(path)}") from None
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: must be a safetensors file; {error}; {_remedy(path)}"
        ) from None


def find_other_tensor(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """Name the first tensor of a network that another lacks, has besides, or has otherwise."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} is not part of the architecture"
        asked, shape = tuple(expected[name].shape), tuple(found[name].shape)
        if asked != shape:
            return f"{name} must have shape {asked}, got {shape}"
    return None


def _remedy(path: Path) -> str:
    return f"remove {path.parent} and train it again"
