"""The settings of `wsikd segment train`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from wsikd.config import OneOf
from wsikd.data.fields.opening import FieldSettings
from wsikd.nuclei.learn.crops import MAX_GLASS
from wsikd.nuclei.learn.patch_contrast import SIMILARITIES
from wsikd.nuclei.network import PATCH
from wsikd.training.settings import RunSettings

SimilarityName = OneOf[str, SIMILARITIES]


class SegmentSettings(FieldSettings, RunSettings):
    """How a nuclei segmenter is trained without labels."""

    channels: int = Field(4, ge=1, le=32, description="confidences per pixel; one comes to nuclei")
    similarity: SimilarityName = Field("mse", description="of two windows; published: mse")
    compare: Literal["haematoxylin", "colours"] = Field(
        "haematoxylin", description="light that this stain leaves, or colours, as published"
    )
    inter: float = Field(1.0, ge=0, description="weight of the terms between channels")
    temperature: float = Field(1.0, gt=0, description="similarities are divided by it")
    window: int = Field(10, ge=2, description="side of a window, in pixels; published: 50")
    stride: int = Field(4, ge=1, description="pixels from window to window; published: 20")
    windows: int = Field(40, ge=1, description="drawn of each crop and channel; published: 10")
    anchors: int = Field(10, ge=1, description="positive windows of a channel that others are to")
    crop: int = Field(300, ge=2, description="side of a crop in pixels, or the image's if smaller")
    crops: int = Field(30, ge=1, description="crops in an epoch, of all inputs by their area")
    max_glass: float = Field(
        MAX_GLASS,
        ge=0,
        le=1,
        description="share of a slide's crop that may be bright; published: 0.3",
    )
    balance: bool = Field(
        True, description="divide colours by those of the brightest pixels; published: as they are"
    )
    batch: int = Field(10, ge=1, description="crops in a step; the rest of an epoch is left out")
    epochs: int = Field(40, ge=1, description="of crops, unless training converges before")
    learning_rate: float = Field(5e-4, gt=0, description="of Adam; published: 2e-4")
    weight_decay: float = Field(1e-4, ge=0, description="of Adam, added to the gradient")
    select: Literal["stain", "labels"] = Field(
        "stain", description="what chooses epoch, channel and threshold; labels needs --labelled"
    )
    settled: float = Field(
        0.05,
        ge=0,
        description="converged if the mean of --patience epochs changes by less",
    )
    separation: float = Field(
        0.6, gt=0, description="converged if windows differ so much within, relative to between"
    )
    patience: int = Field(5, ge=1, description="epochs that convergence is judged by")
    compat: Literal["release"] | None = Field(
        None, description="release: the published code's sums, pairs and last windows"
    )

    @property
    def items_per_step(self) -> int:
        return self.batch

    @property
    def as_released(self) -> bool:
        """Whether the published code's behaviour is asked for."""
        return self.compat == "release"

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.similarity == "cosine" and self.window != PATCH:
            raise ValueError(
                f"--similarity cosine needs --window {PATCH}, which its featuriser reads, got "
                f"{self.window}"
            )
        if self.crops < self.batch:
            raise ValueError(f"--crops must be at least --batch {self.batch}, got {self.crops}")
        if self.crop < self.window:
            raise ValueError(f"--crop must be at least --window {self.window}, got {self.crop}")
        return self
