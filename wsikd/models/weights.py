"""A model on disk: its tensors in safetensors, and a description of what it reads beside them."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn

from wsikd.config import Settings, load_document
from wsikd.errors import CheckpointError, ConfigError
from wsikd.files import replacing, write_json
from wsikd.models.build import build_model
from wsikd.models.confidence import ConfidenceNetwork
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


class SegmenterDescription(Settings):
    """What a nuclei segmenter is, which pixels it reads and where its nuclei are: `model.json`."""

    format: Literal["wsikd-segmenter"] = "wsikd-segmenter"
    version: Literal[1] = 1
    channels: int = Field(ge=1, description="confidences per pixel")
    mpp: Positive | None = Field(description="µm per pixel of the pixels it reads; unknown: null")
    balanced: bool = Field(description="whether it reads colours divided by the unstained light's")
    nuclei_channel: int = Field(ge=0, description="the channel that shows nuclei")
    inverted: bool = Field(description="whether nuclei are where that channel's confidence is low")
    threshold: float = Field(ge=0, le=1, description="confidence of nuclei, from which they count")
    selected_by: Literal["stain", "labels"] = Field(
        description="what chose epoch, channel and threshold"
    )
    score: float = Field(description="of that choice: explained variance of the stain, or Dice")
    is_nuclear_sized: bool | None = Field(
        description="whether what it finds is as large as nuclei; null: µm per pixel is unknown"
    )
    has_converged: bool = Field(description="whether the criterion of convergence was met")

    @model_validator(mode="after")
    def _has_its_channel(self) -> Self:
        if self.nuclei_channel >= self.channels:
            raise ValueError(
                f"nuclei_channel must be below channels {self.channels}, got {self.nuclei_channel}"
            )
        return self


def save_model(
    model: nn.Module, description: ModelDescription | SegmenterDescription, path: Path
) -> None:
    """Write a model atomically: the weights to `path`, then its description beside them.

    Parameters
    ----------
    model : Network or ConfidenceNetwork
        On any device.
    description : ModelDescription or SegmenterDescription
        Written under the name of `path` with the suffix ".json".
    path : Path
        File with the suffix ".safetensors".
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(serialise(tensors, metadata={"format": "pt"}))
    write_json(path.with_suffix(".json"), description.model_dump(mode="json"))


def load_model(path: Path) -> tuple[Network, ModelDescription]:
    """Read a model that `save_model` wrote, on the CPU and in eval mode.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged or of another format version, or if any tensor is missing,
        surplus or of another shape than the architecture asks for.
    """
    description = load_document(path.with_suffix(".json"), ModelDescription, CheckpointError)
    try:
        model = build_model(description.architecture, len(description.classes))
    except ConfigError as error:
        raise CheckpointError(f"{path.with_suffix('.json')}: {error}") from None
    _fill(model, path)
    return model.eval(), description


def load_segmenter(path: Path) -> tuple[ConfidenceNetwork, SegmenterDescription]:
    """Read a nuclei segmenter that `save_model` wrote, on the CPU and in eval mode.

    Raises
    ------
    CheckpointError
        As for `load_model`.
    """
    description = load_document(path.with_suffix(".json"), SegmenterDescription, CheckpointError)
    model = ConfidenceNetwork(description.channels)
    _fill(model, path)
    return model.eval(), description


def _fill(model: nn.Module, path: Path) -> None:
    """Give a model the tensors of a file."""
    tensors = _read_tensors(path)
    _refuse_other_tensors(path, model.state_dict(), tensors)
    model.load_state_dict(tensors)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path}: must be a safetensors file; {error}") from None


def _refuse_other_tensors(
    path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]
) -> None:
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise CheckpointError(f"{path}: tensor {name} is missing")
        if name not in expected:
            raise CheckpointError(f"{path}: tensor {name} is not part of the architecture")
        if expected[name].shape != found[name].shape:
            raise CheckpointError(
                f"{path}: tensor {name} must have shape {tuple(expected[name].shape)}, "
                f"got {tuple(found[name].shape)}"
            )
