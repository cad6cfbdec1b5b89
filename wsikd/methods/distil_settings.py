"""What `wsikd distil` can be told."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from wsikd.config import OneOf
from wsikd.geometry import format_magnification
from wsikd.losses import as_released, choices
from wsikd.losses.distillation import FEATURE_MAP_LOSSES
from wsikd.methods.region_inputs import TEACHER_MAGNIFICATION
from wsikd.methods.seen import UNRELATED_HELP
from wsikd.methods.starting_runs import INIT_HELP
from wsikd.training.settings import TrainingSettings


def _refuse_twice(each: tuple[float, ...]) -> tuple[float, ...]:
    if not each or len(set(each)) < len(each):
        raise ValueError("must be one magnification or several different ones")
    return each


Magnifications = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...],
    BeforeValidator(lambda given: given if isinstance(given, list | tuple) else (given,)),
    PlainSerializer(lambda each: each[0] if len(each) == 1 else list(each), return_type=Any),
    AfterValidator(_refuse_twice),
]
"""One magnification or several; a single one is written as a number."""

LossName = OneOf[str, ("soft", *choices(FEATURE_MAP_LOSSES))]


_SPLITS = {
    "labelled": ("train",),
    "auxiliary": ("auxiliary",),
    "both": ("train", "auxiliary"),
}


class DistilSettings(TrainingSettings):
    """How a student is distilled from a teacher."""

    student_mag: Magnifications = Field(
        description="magnification the student reads; several students learn from one pass of the "
        "teacher"
    )
    teacher: str | None = Field(
        None,
        description="run to learn from; unset: teacher-10x of the same fold and seed, else seed 0",
    )
    learn_from: Literal["labelled", "auxiliary", "both"] = Field(
        "both",
        description="regions that the teacher is asked about: those of the split train, whose "
        "labels are not looked at, those of auxiliary slides, or both",
    )
    init: str | None = Field(None, description=INIT_HELP)
    unrelated: bool = Field(False, description=UNRELATED_HELP)
    temperature: float = Field(1.0, gt=0, description="divides the logits of both; no unit")
    loss: LossName = Field(
        "both", description="soft targets alone, or with a loss of feature maps added to them"
    )
    teacher_pass: Literal["live", "cached"] = Field(
        "live",
        description="live: the teacher sees each epoch's augmentation, as published; cached: it is "
        "asked once about --views of each region, and answers from cache/ after that",
    )
    views: int | None = Field(
        None,
        ge=1,
        description="of a region, each with an orientation and colours; unset: 8 if cached",
    )
    compat: Literal["release"] | None = Field(
        None, description="release: the published code's loss, in which both is half of maxpool"
    )

    @model_validator(mode="after")
    def _check_views(self) -> Self:
        if self.views is not None and self.teacher_pass == "live":  # noqa: S105  no password
            raise ValueError("--views needs --teacher-pass cached")
        return self

    @model_validator(mode="after")
    def _check_magnifications(self) -> Self:
        largest = max(self.student_mag)
        if self.teacher is None and largest >= TEACHER_MAGNIFICATION:
            raise ValueError(
                f"--student-mag must be below the teacher's {TEACHER_MAGNIFICATION:g}, got "
                f"{largest:g}; choose a lower one, or name a --teacher that reads more"
            )
        return self

    def each(self) -> "Iterator[Self]":
        """Yield the settings of each student; a name of several has the magnification after it."""
        for mag in self.student_mag:
            name = self.name
            if name is not None and len(self.student_mag) > 1:
                name = f"{name}-{format_magnification(mag)}"
            yield self.model_copy(update={"student_mag": (mag,), "name": name})

    @property
    def learns_from(self) -> tuple[str, ...]:
        """The splits that are learnt from."""
        return _SPLITS[self.learn_from]

    @property
    def with_auxiliary(self) -> bool:
        """Whether auxiliary slides take part."""
        return "auxiliary" in self.learns_from

    @property
    def view_count(self) -> int:
        """How many views of a region a teacher is asked about once."""
        return 8 if self.views is None else self.views

    @property
    def magnification(self) -> float:
        """What the one student of a run reads."""
        (only,) = self.student_mag
        return only

    @property
    def view(self) -> str:
        """What the batches call the student's images."""
        return f"student-{format_magnification(self.magnification)}"

    @property
    def feature_map_kind(self) -> str | None:
        """The feature map loss that is added to the soft targets, if any."""
        if self.loss == "soft":
            return None
        return as_released(self.loss, FEATURE_MAP_LOSSES) if self.compat else self.loss
