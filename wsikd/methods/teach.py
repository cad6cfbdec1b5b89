"""Teaching a network from the slides' labels: the teacher, and baselines to hold a student against.

Section 3 of resolution-based distillation [1]_: every region carries the label of its slide.

References
----------
.. [1] DiPalma, Suriawinata, Tafe, Torresani, Hassanpour. "Resolution-Based Distillation for
       Efficient Histology Image Classification". 2021. arXiv:2101.04170.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
from pydantic import Field
from torch import Tensor

from wsikd.hashing import file_digest
from wsikd.losses.classification import cross_entropy_loss
from wsikd.methods.carry_out import carry_out
from wsikd.methods.describing import describe
from wsikd.methods.method import Method, Part, Plan
from wsikd.methods.planning import Planned
from wsikd.methods.region_inputs import Inputs, MethodName, usual_role
from wsikd.methods.seen import UNRELATED_HELP
from wsikd.methods.starting_runs import INIT_HELP, start_from
from wsikd.models import ModelName
from wsikd.models.network import Reader
from wsikd.models.seeding import build_seeded
from wsikd.runs import RunFolder
from wsikd.training.batch import Batch
from wsikd.training.batch_norms import refuse_batch_norm
from wsikd.training.machine import Machine
from wsikd.training.settings import LabelSettings
from wsikd.training.trainee import Step
from wsikd.workspace import Workspace

if TYPE_CHECKING:
    from wsikd.store import RegionStore


USUAL_MODEL = "resnet10w32"


class TeachSettings(LabelSettings):
    """How a network is taught from labels."""

    mag: float = Field(10.0, gt=0, description="magnification it reads")
    role: Literal["teacher", "baseline"] | None = Field(
        None,
        description="what it is for: to teach students, or for students of its magnification to be "
        "held against; unset: teacher at 10x and finer, baseline below",
    )
    model: ModelName = Field(USUAL_MODEL, description="architecture")
    init: str | None = Field(None, description=INIT_HELP)
    unrelated: bool = Field(False, description=UNRELATED_HELP)

    @property
    def kind(self) -> MethodName:
        """What kind of run it makes."""
        return self.role or usual_role(self.mag)


def teach(
    store: "RegionStore", manifest: pd.DataFrame, runs: Path, settings: TeachSettings
) -> list[RunFolder]:
    """Train a network by cross-entropy, for one fold or for each in turn.

    Parameters
    ----------
    store : RegionStore
        Holds the regions at `settings.mag`.
    manifest : DataFrame
        Slides, labels and splits or folds.
    runs : Path
        Folder of all runs; a run there that was stopped goes on, a finished one stays as it is.
    settings : TeachSettings
        What to train, and how.

    Returns
    -------
    list of RunFolder
        One per fold, with models, log and predictions.

    Raises
    ------
    StoreError
        If `settings.mag` was not prepared.
    CheckpointError, LeakageError
        If `settings.init` is no finished run, has another architecture, or has seen slides that
        this one is tested on.
    ResumeError
        If the run exists with other settings or inputs.
    StoppedError
        If a signal came; the same call goes on.
    """
    return carry_out(store, manifest, runs, [settings], partial(_plan, runs))


def planned(runs: Path, settings: TeachSettings) -> Planned[TeachSettings]:
    """Return what `plan_training` needs of what `teach` would do."""
    return Planned([settings], partial(_plan, runs), lambda one: (_part(one),))


def make_step(read: Reader) -> Step:
    """Return the loss of learning from labels."""

    def step(batch: Batch) -> dict[str, Tensor]:
        logits = read(batch["image"]).logits
        return {"cross_entropy": cross_entropy_loss(logits, batch.labels, batch.weights)}

    return step


def _plan(runs: Path, inputs: Inputs, settings: TeachSettings) -> Plan:
    inputs.check_prepared(settings.mag)
    fingerprints = inputs.fingerprints()
    model = build_seeded(settings.model, len(inputs.classes), seed=settings.seed)
    refuse_batch_norm(model, f"--model {settings.model}")
    sources: dict[str, RunFolder] = {}
    if settings.init is not None:
        sources["init"] = start_from(model, runs, settings.init, inputs, settings)
        fingerprints["init"] = file_digest(sources["init"].model_path())

    def method(machine: Machine) -> Method:
        machine.place(model)
        reads = describe(inputs, settings.model, settings.mag, Workspace(runs.parent).cache)
        return Method(model, reads, make_step(machine.reading(model)), {"image": reads})

    return Plan(
        settings.kind,
        settings.mag,
        fingerprints,
        method,
        sources,
        settings.unrelated,
        parts=(_part(settings),),
    )


def _part(settings: TeachSettings) -> Part:
    return Part(settings.kind, settings.model, settings.mag)
