"""What `wsikd probe` can be told."""

from typing import Annotated, Literal, Self

from pydantic import Field

from wsikd.data.augment.pairs import DistortSettings
from wsikd.runs import Branch, Checkpoint
from wsikd.runs.names import NAME_PATTERN
from wsikd.training.settings import FoldSettings

ExtraControl = Literal["random", "supervised"]
Percent = Annotated[float, Field(gt=0, le=100)]


class ProbeSettings(FoldSettings):
    """How a frozen encoder is probed; the defaults are those of "More From Less"."""

    classifier: Literal["linear", "knn"] = Field(
        "linear", description="one linear layer, or the nearest neighbours by cosine similarity"
    )
    k: int = Field(20, ge=1, description="neighbours that vote")
    branch: Branch = Field("primary", description="encoder of a paired training, and its images")
    checkpoint: Checkpoint = Field("best", description="best validation loss, or last epoch")
    fractions: tuple[Percent, ...] = Field(
        (100.0,), min_length=1, description="of the training patches of each class, in per cent"
    )
    controls: tuple[ExtraControl, ...] = Field(
        (), description="beside colour and majority: random weights, training from labels"
    )
    augmented: bool = Field(False, description="vary the training patches anew in every epoch")
    distort: DistortSettings = DistortSettings()
    batch: int = Field(128, ge=1, description="patches in a step")
    weight_decay: float = Field(0.0, ge=0, description="of Adam, added to the gradient")
    name: str | None = Field(
        None,
        pattern=NAME_PATTERN,
        description="of the probed patches, in the runs' names; needed if not the run's own",
    )

    @property
    def items_per_step(self) -> int:
        return self.batch

    def of_run(self, fold: int | None, percent: float) -> Self:
        """Return what one run is made with."""
        one = {"fold": fold, "fractions": (percent,), "controls": (), "name": None}
        return self.model_copy(update=one)

    @property
    def how(self) -> list[str]:
        """How an encoder of a run is probed, in the names of probes; nothing by default."""
        which = {self.branch: self.branch != "primary", "last": self.checkpoint == "last"}
        return [part for part, is_said in which.items() if is_said] + self.how_of_all

    @property
    def how_of_all(self) -> list[str]:
        """How any encoder is probed, whether of a run or not."""
        parts = {"knn": self.classifier == "knn", "augmented": self.augmented}
        return [part for part, is_said in parts.items() if is_said]

    @property
    def percent(self) -> float:
        """Share of the training patches, of the settings of one run."""
        (percent,) = self.fractions
        return percent
