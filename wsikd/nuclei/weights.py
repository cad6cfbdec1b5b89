"""A nuclei segmenter on disk: what it is, which pixels it reads and where its nuclei are."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from wsikd.config import Settings
from wsikd.models.weights import Positive, load_description, load_tensors
from wsikd.nuclei.network import ConfidenceNetwork


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


def load_segmenter(path: Path) -> tuple[ConfidenceNetwork, SegmenterDescription]:
    """Read a nuclei segmenter that `save_model` wrote, on the CPU and in eval mode.

    Raises
    ------
    CheckpointError
        As for `wsikd.models.weights.load_model`.
    """
    description = load_description(path, SegmenterDescription)
    model = ConfidenceNetwork(description.channels)
    load_tensors(model, path)
    return model.eval(), description
