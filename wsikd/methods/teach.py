"""Teaching a network from the slides' labels: the teacher, and baselines to hold a student against.

Section 3 of resolution-based distillation [1]_: every region carries the label of its slide.

References
----------
.. [1] DiPalma, Suriawinata, Tafe, Torresani, Hassanpour. "Resolution-Based Distillation for
       Efficient Histology Image Classification". 2021. arXiv:2101.04170.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from wsikd.methods.carry_out import Method, carry_out, describe
from wsikd.methods.region_inputs import (
    TEACHER_MAGNIFICATION,
    MethodName,
    begin,
    folds_of,
    read_inputs,
)
from wsikd.methods.starting_runs import INIT_HELP, start_from
from wsikd.models import MODELS, Network
from wsikd.models.seeding import build_seeded
from wsikd.runs import RunFolder
from wsikd.training.device import choose_device, place
from wsikd.training.feeds.batches import Views
from wsikd.training.loop import Step
from wsikd.training.settings import TrainingSettings

if TYPE_CHECKING:
    from wsikd.store import RegionStore


class TeachSettings(TrainingSettings):
    """How a network is taught from labels."""

    mag: float = Field(10.0, gt=0, description="magnification it reads; not 10: a baseline")
    model: str = Field("resnet10w32", description="architecture, a key of MODELS")
    init: str | None = Field(None, description=INIT_HELP)

    @field_validator("model")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in MODELS:
            raise ValueError(f"must be one of {', '.join(MODELS)}, got {name!r}")
        return name


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
    return [
        _teach_fold(store, manifest, runs, settings.model_copy(update={"fold": fold}))
        for fold in folds_of(manifest, settings.fold)
    ]


def make_step(model: Network) -> Step:
    """Give the loss of learning from labels."""

    def step(batch: Views) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(batch["image"]).logits, batch["label"])}

    return step


def _teach_fold(
    store: "RegionStore", manifest: pd.DataFrame, runs: Path, settings: TeachSettings
) -> RunFolder:
    inputs = read_inputs(store, manifest, settings.fold)
    inputs.check_prepared(settings.mag)
    kind: MethodName = "teacher" if settings.mag == TEACHER_MAGNIFICATION else "baseline"
    fingerprints = inputs.fingerprints()
    model = build_seeded(settings.model, len(inputs.classes), seed=settings.seed)
    if settings.init is not None:
        fingerprints["init"] = start_from(model, runs, settings.init, inputs, settings)
    run = begin(runs, inputs.describe_run(kind, settings.mag, fingerprints), settings)
    if run.is_complete():
        return run
    description = describe(inputs, settings.model, settings.mag)
    device = choose_device(settings.device)
    method = Method(model, description, make_step(place(model, device)), {"image": description})
    carry_out(run, method, inputs, settings, device)
    return run
