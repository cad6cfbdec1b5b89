"""What `wsikd pair` can be told."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pandas as pd
from pydantic import Field

from wsikd.cohort.splits import is_split, splits_of_fold
from wsikd.config import OneOf
from wsikd.data.augment.pairs import DistortSettings
from wsikd.data.pairs import PairingSettings
from wsikd.data.patches import PatchSettings, PatchSource
from wsikd.errors import ConfigError
from wsikd.geometry import Size
from wsikd.hashing import text_digest
from wsikd.losses import as_released, choices
from wsikd.losses.reconstruction import RECONSTRUCTION_LOSSES
from wsikd.losses.selfsupervised import OBJECTIVES
from wsikd.methods.region_inputs import folds_of
from wsikd.models import ModelName
from wsikd.runs import Branch
from wsikd.training.settings import FoldSettings

_PREDICT = "predict-"

ObjectiveName = OneOf[
    str, (*choices(OBJECTIVES), *(_PREDICT + name for name in RECONSTRUCTION_LOSSES))
]


class PairSettings(PatchSettings, PairingSettings, FoldSettings):
    """How an encoder learns from pairs; the defaults are those of "More From Less"."""

    model: ModelName = Field("resnet10w32", description="architecture of the encoders")
    objective: ObjectiveName = Field("vicreg", description="loss; predict: a U-Net, as a control")
    shared: bool = Field(False, description="one encoder and expander for both branches")
    triple: bool = Field(False, description="two primary views and one privileged, all three pairs")
    expander: tuple[int, ...] = Field((8192, 8192, 8192), description="widths of its layers")
    batch: int = Field(128, ge=2, description="pairs in a step; the rest of an epoch is left out")
    epochs: int = Field(100, ge=1, description="passes over the pairs")
    learning_rate: float = Field(1e-4, gt=0, description="of Adam, at its peak")
    weight_decay: float = Field(0.0, ge=0, description="of Adam, added to the gradient")
    warmup_epochs: float = Field(0.1, ge=0, description="epochs in which the learning rate rises")
    learn_from: Literal["train", "all"] = Field(
        "train", description="patches learnt from; all: what is tested as well, without its labels"
    )
    distort: DistortSettings = DistortSettings()
    compat: Literal["release"] | None = Field(
        None, description="release: loss, augmentation, pixel scale and clipping as published"
    )

    @property
    def items_per_step(self) -> int:
        return self.batch

    @property
    def is_prediction(self) -> bool:
        """Whether a U-Net predicts the second image, instead of two branches that agree."""
        return self.objective.startswith(_PREDICT)

    @property
    def loss_name(self) -> str:
        """Key of `OBJECTIVES`, or of `RECONSTRUCTION_LOSSES` if a U-Net predicts."""
        if self.is_prediction:
            return self.objective.removeprefix(_PREDICT)
        return as_released(self.objective, OBJECTIVES) if self.compat else self.objective

    @property
    def stem(self) -> str:
        """How the run's name begins."""
        flags = {name: getattr(self, name) for name in ("symmetric", "triple", "shared")}
        kinds = [name for name, is_set in (flags | {"release": self.compat}).items() if is_set]
        return "-".join(["pair", self.pairing, self.objective, *kinds])

    def check(self, sizes: Mapping[Branch, Size]) -> None:
        """Refuse settings that do not go together, or with these sizes of images.

        Raises
        ------
        ConfigError
        """
        for name in ("triple", "shared"):
            if self.is_prediction and getattr(self, name):
                raise ConfigError(
                    f"--{name} needs two branches, --objective {self.objective} has one"
                )
        if self.is_prediction and (self.symmetric or self.pairing == "symmetric"):
            raise ConfigError(
                f"--objective {self.objective} needs two images to tell apart; leave --symmetric "
                "out, or choose another --pairing"
            )
        first, second = sizes["primary"], sizes["privileged"]
        if self.is_prediction and first != second:
            raise ConfigError(
                f"--objective {self.objective} needs images of one size, got {first.width} and "
                f"{second.width} px; choose another --pairing"
            )

    def warm_up_steps(self, items: int) -> int:
        """Return the steps in which the learning rate rises, rounded down."""
        return int(self.warmup_epochs * (items // self.batch))

    def folds_of(self, source: PatchSource) -> tuple[int | None, ...]:
        """Return the folds to train: none if all patches are learnt from, of whatever fold."""
        return (None,) if self.learn_from == "all" else folds_of(source.table, self.fold)

    def follows_splits(self, table: pd.DataFrame) -> bool:
        """Tell whether only some of the patches of a table are learnt from, by their split."""
        return self.learn_from == "train" and (self.fold is not None or is_split(table))

    def rows_of(self, source: PatchSource) -> list[int]:
        """Return the patches to learn from, by their place in the source.

        Raises
        ------
        ConfigError
            If they do not fill a batch.
        """
        table = source.table
        rows = range(len(table))
        if self.follows_splits(table):
            splits = splits_of_fold(table, self.fold)["split"]
            chosen = [row for row in rows if splits.iloc[row] in ("train", "auxiliary")]
        else:
            chosen = list(rows)
        if len(chosen) < self.batch:
            raise ConfigError(
                f"--batch must be at most the {len(chosen)} patches to learn from, got {self.batch}"
            )
        return chosen

    @staticmethod
    def digest(source: PatchSource, rows: Sequence[int]) -> str:
        """Return a hash of which patches are learnt from."""
        names = "\n".join(source.name(row) for row in rows)
        return text_digest(names)
