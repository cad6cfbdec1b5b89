"""Fine-tuning a student: its last layer alone, from the slides' labels.

The optional last phase of resolution-based distillation [1]_, whose learning rate is not published.

References
----------
.. [1] DiPalma, Suriawinata, Tafe, Torresani, Hassanpour. "Resolution-Based Distillation for
       Efficient Histology Image Classification". 2021. arXiv:2101.04170.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field

from wsikd.errors import ConfigError
from wsikd.geometry import format_magnification
from wsikd.hashing import file_digest
from wsikd.methods.carry_out import carry_out
from wsikd.methods.method import Method, Part, Plan
from wsikd.methods.planning import Planned
from wsikd.methods.region_inputs import Inputs
from wsikd.methods.starting_runs import check_source, find_source, kind_of
from wsikd.methods.teach import USUAL_MODEL, make_step
from wsikd.models.weights import load_model
from wsikd.runs import RunFolder
from wsikd.training.machine import Machine
from wsikd.training.settings import LabelSettings

if TYPE_CHECKING:
    from wsikd.store import RegionStore


class FinetuneSettings(LabelSettings):
    """How a student's last layer is fine-tuned."""

    student_mag: float = Field(gt=0, description="magnification of the student")
    student: str | None = Field(
        None,
        description="run to start from; unset: the student of the same fold, seed, else seed 0",
    )


def finetune(
    store: "RegionStore", manifest: pd.DataFrame, runs: Path, settings: FinetuneSettings
) -> list[RunFolder]:
    """Train the last layer of a student by cross-entropy, for one fold or for each in turn.

    Parameters
    ----------
    store : RegionStore
        Holds the regions at `settings.student_mag`.
    manifest : DataFrame
        Slides, labels and splits or folds.
    runs : Path
        Folder of all runs, the student's among them.
    settings : FinetuneSettings
        What to train, and how.

    Returns
    -------
    list of RunFolder
        One per fold, with models, log and predictions.

    Raises
    ------
    CheckpointError
        If there is no finished student, or it knows other classes.
    ConfigError
        If the run named is no student, or reads another magnification.
    LeakageError
        If the student is of another fold or was made with other splits.
    StoreError
        If the student's magnification was not prepared.
    ResumeError
        If the run exists with other settings or inputs.
    StoppedError
        If a signal came; the same call goes on.
    """
    return carry_out(store, manifest, runs, [settings], partial(_plan, runs))


def planned(runs: Path, settings: FinetuneSettings) -> Planned[FinetuneSettings]:
    """Return what `plan_training` needs of what `finetune` would do."""
    return Planned([settings], partial(_plan, runs), _assume)


def _assume(settings: FinetuneSettings) -> tuple[Part, ...]:
    return (Part("finetuned", USUAL_MODEL, settings.student_mag, learns=False),)


def _plan(runs: Path, inputs: Inputs, settings: FinetuneSettings) -> Plan:
    inputs.check_prepared(settings.student_mag)
    source = find_source(
        runs, settings.student, "student", magnification=settings.student_mag, settings=settings
    )
    _check_kind(source, settings.student_mag)
    check_source(source, inputs, settings.fold)
    fingerprints = inputs.fingerprints() | {"student": file_digest(source.model_path())}
    model, reads = load_model(source.model_path())

    def method(machine: Machine) -> Method:
        machine.place(model).requires_grad_(False).fc.requires_grad_(True)
        return Method(model, reads, make_step(machine.reading(model)), {"image": reads})

    parts = (Part("finetuned", reads.architecture, reads.magnification, learns=False),)
    return Plan(
        "finetuned", reads.magnification, fingerprints, method, {"student": source}, parts=parts
    )


def _check_kind(source: RunFolder, student_mag: float) -> None:
    made = source.read_provenance()
    if not made.kind.can_be_finetuned or made.magnification != student_mag:
        raise ConfigError(
            f"{source.path}: is {kind_of(source)}; fine-tuning at --student-mag {student_mag:g} "
            f"needs a student at {format_magnification(student_mag)}"
        )
