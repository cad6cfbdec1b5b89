"""What every training command can be told."""

import abc
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from wsikd.config import Settings
from wsikd.data.augment.regions import AugmentSettings
from wsikd.data.held import Resident
from wsikd.runs.names import NAME_PATTERN
from wsikd.training.device import Kernels, Precision


class RunSettings(Settings):
    """What every training can be told, whatever it learns from.

    Attributes
    ----------
    may_grow : frozenset of str
        Settings that a run can be taken up with if they were raised. None where the learning rate
        follows the number of epochs: steps already taken would have been others.
    """

    may_grow: ClassVar[frozenset[str]] = frozenset()

    epochs: int = Field(100, ge=1, description="passes over what is learnt from")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam")
    weight_decay: float = Field(1e-4, ge=0, description="of Adam, added to the gradient")
    seed: int = Field(0, ge=0, description="of the first weights, the order and the augmentation")
    device: str = Field("auto", description="such as cpu or cuda:1; auto: a GPU if there is one")
    deterministic: bool = Field(
        False,
        description="the same bits from every repetition on a GPU, more slowly; a CPU always gives "
        "them",
    )
    checkpoint_minutes: float = Field(
        10.0,
        ge=0,
        description="from one checkpoint to the next, in minutes; the last is made at the end",
    )
    name: str | None = Field(
        None,
        pattern=NAME_PATTERN,
        description="of the run; unset: made of method, magnification, fold and seed",
    )

    @property
    @abc.abstractmethod
    def items_per_step(self) -> int:
        """Items whose mean gradient makes one step."""

    @property
    def epochs_to_wait(self) -> int | None:
        """Epochs without a better validation loss before the end; None: never end early."""
        return None


class FoldSettings(RunSettings):
    """What a training can be told that is tested on patients it has not learnt from."""

    fold: int | None = Field(
        None, ge=0, description="fold that is left out for testing; unset: each in turn"
    )


class TrainingSettings(FoldSettings):
    """How a network is trained on tissue regions, at a constant learning rate."""

    may_grow: ClassVar[frozenset[str]] = frozenset({"epochs", "patience"})

    patience: int | None = Field(
        None, ge=1, description="epochs without a better validation loss before the end; unset: all"
    )
    accumulate: int = Field(32, ge=1, description="regions whose mean gradient makes one step")
    augment: AugmentSettings = AugmentSettings()
    batch_mpix: float | None = Field(
        None,
        ge=0,
        description="million pixels that the network reads at once of the largest magnification; "
        "unset: 1 on a CPU, 16 on a GPU or what its memory allows; 0: one region at a time",
    )
    memory_gib: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="what networks may take of the device's memory while they are computed, in "
        "GiB; unset: nine tenths of what is free",
    )
    precision: Precision = Field(
        "auto",
        description="of the maps between layers; weights, statistics and losses are always "
        "fp32; auto: bf16 with fused kernels on a GPU that has it, else fp32; with eager kernels "
        "bf16 takes no less memory",
    )
    kernels: Kernels = Field(
        "eager",
        description="of group normalisation on a GPU; eager: PyTorch's, fused: one in Triton, not "
        "yet measured",
    )
    resident: Resident = Field(
        "auto",
        description="where regions stay once they are read; auto: the GPU or memory, as they fit",
    )
    workers: int = Field(
        2,
        ge=0,
        le=256,
        description="threads that read regions ahead; 0: none, they are waited for",
    )

    @property
    def items_per_step(self) -> int:
        return self.accumulate

    @property
    def epochs_to_wait(self) -> int | None:
        return self.patience

    @property
    def draws_balanced(self) -> bool:
        """Whether an epoch draws each class equally often; only where labels are learnt from."""
        return False

    def weighs_balanced(self, *, training: bool) -> bool:  # noqa: ARG002
        """Tell whether the loss of training, or of validation, counts all classes alike."""
        return False


class LabelSettings(TrainingSettings):
    """How a network is trained on tissue regions from the labels of their slides."""

    class_weights: Literal["none", "balanced"] = Field(
        "none", description="of the loss; balanced: all classes count alike, however few regions"
    )
    sampling: Literal["shuffled", "balanced"] = Field(
        "shuffled",
        description="of an epoch; balanced: each class equally often, some regions twice",
    )

    @property
    def draws_balanced(self) -> bool:
        return self.sampling == "balanced"

    def weighs_balanced(self, *, training: bool) -> bool:
        # what balanced draws minimise is what a balanced loss of all validation regions measures
        return self.class_weights == "balanced" or (self.draws_balanced and not training)

    @model_validator(mode="after")
    def _refuse_both(self) -> Self:
        if self.draws_balanced and self.class_weights == "balanced":
            raise ValueError("--class-weights and --sampling both balance the classes; choose one")
        return self
