"""Distilling a teacher that reads high magnification into a student that reads a low one.

Equations 1 to 3 of resolution-based distillation [1]_. Labels are not used.

References
----------
.. [1] DiPalma, Suriawinata, Tafe, Torresani, Hassanpour. "Resolution-Based Distillation for
       Efficient Histology Image Classification". 2021. arXiv:2101.04170.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from torch import Tensor

from wsikd.data.augment.views import CountedViews
from wsikd.errors import CheckpointError, ConfigError
from wsikd.geometry import format_magnification
from wsikd.hashing import file_digest
from wsikd.losses.distillation import resized_map_loss, soft_target_loss
from wsikd.methods.asking import Asked, ask
from wsikd.methods.carry_out import carry_out
from wsikd.methods.describing import describe
from wsikd.methods.distil_settings import DistilSettings
from wsikd.methods.method import Method, Part, Plan
from wsikd.methods.planning import Planned
from wsikd.methods.region_inputs import TEACHER_MAGNIFICATION, Inputs
from wsikd.methods.remembered_teacher import (
    Questions,
    RememberedTeacher,
    Student,
    answers_folder,
)
from wsikd.methods.starting_runs import (
    check_source,
    find_source,
    kind_of,
    start_from,
)
from wsikd.methods.teach import USUAL_MODEL
from wsikd.methods.teacher_answers import MapSizes, Teacher, Teachers
from wsikd.models.network import Network, Reader
from wsikd.models.seeding import build_seeded
from wsikd.models.weights import ModelDescription, load_description
from wsikd.runs import RunFolder
from wsikd.training.batch import Batch
from wsikd.training.batch_norms import refuse_batch_norm
from wsikd.training.display import Display
from wsikd.training.machine import Machine
from wsikd.training.trainee import Step

if TYPE_CHECKING:
    from wsikd.store import RegionStore


def distil(
    store: "RegionStore",
    manifest: pd.DataFrame,
    runs: Path,
    settings: DistilSettings,
    *,
    cache: Path | None = None,
) -> list[RunFolder]:
    """Train a student to see at its magnification what the teacher sees at a higher one.

    Both read the same regions under the same augmentation. Auxiliary slides take part if they are
    learnt from, as is usual.

    Parameters
    ----------
    store : RegionStore
        Holds the regions at both magnifications.
    manifest : DataFrame
        Slides with splits or folds; labels serve evaluation alone.
    runs : Path
        Folder of all runs, the teacher's among them.
    settings : DistilSettings
        What to train, and how.
    cache : Path, optional
        Folder of what can be made again, such as a teacher's answers; by default beside `runs`.

    Returns
    -------
    list of RunFolder
        One per fold, with models, log and predictions.

    Raises
    ------
    CheckpointError
        If there is no finished teacher, or it knows other classes; or if `settings.init` is no
        finished run or has another architecture.
    ConfigError
        If the run named was not taught from labels, or does not read more than the student.
    LeakageError
        If the teacher was taught on another fold or on other splits, or `settings.init` has seen
        slides that the student is tested on.
    StoreError
        If a magnification was not prepared.
    ResumeError
        If the run exists with other settings or inputs.
    StoppedError
        If a signal came; the same call goes on.
    """
    made = planned(runs, settings, cache)
    return carry_out(store, manifest, runs, made.each, made.plan)


def planned(
    runs: Path, settings: DistilSettings, cache: Path | None = None
) -> Planned[DistilSettings]:
    """Return what `distil` does, for `plan_training`."""
    each = list(settings.each())
    teachers = Teachers(runs, cache or runs.parent / "cache", settings.student_mag)
    return Planned(each, partial(_plan, teachers), _assume, settings.learns_from)


def make_step(student: Reader, teacher: Teacher, settings: DistilSettings) -> Step:
    """Return the loss of distillation, the sum of equations 2 and 3."""
    kind, name = settings.feature_map_kind, settings.view

    def step(batch: Batch) -> dict[str, Tensor]:
        coarse = student(batch[name])
        fine = teacher.answer(batch, name, MapSizes.of(coarse))
        terms = {"soft": soft_target_loss(coarse.logits, fine.logits, settings.temperature)}
        if kind is not None:
            terms["pixel"] = resized_map_loss(
                coarse.feature_map, fine.maps, kind, sizes=coarse.sizes
            )
        return terms

    return step


@dataclass(frozen=True)
class _Lesson:
    """One student, whom it learns from and what."""

    teachers: Teachers
    source: RunFolder
    teacher_digest: str
    teacher_reads: ModelDescription
    student: Network
    inputs: Inputs
    settings: DistilSettings

    def method(self, machine: Machine) -> Method:
        """Build what is trained, on a machine."""
        is_live = self.settings.teacher_pass == "live"  # noqa: S105  no password
        read = machine.reading(machine.place(self.student))
        reads = describe(
            self.inputs,
            self.teacher_reads.architecture,
            self.settings.magnification,
            self.teachers.cache,
        )
        return self._live(read, reads, machine) if is_live else self._cached(read, reads, machine)

    def _live(self, read: Reader, reads: ModelDescription, machine: Machine) -> Method:
        """Learn from a teacher that sees each epoch's augmentation."""
        live = self.teachers.live(self.source, machine)
        live.expect(self.settings.view)
        views = {self.settings.view: reads, "teacher": self.teacher_reads}
        step = make_step(read, live, self.settings)
        return Method(self.student, reads, step, views, needless=live.needless)

    def _cached(self, read: Reader, reads: ModelDescription, machine: Machine) -> Method:
        """Learn from answers, which the teacher is asked for here, for all students at once."""
        questions = _questions(self.inputs, self.settings)
        remembered = {
            mag: self._remembered(mag, questions, machine) for mag in self.teachers.student_mags
        }
        asked = Asked(self.teachers.live(self.source, machine).read, self.teacher_reads, machine)
        ask(asked, list(remembered.values()), questions, Display(self.source.name))
        step = make_step(read, remembered[self.settings.magnification], self.settings)
        return Method(self.student, reads, step, {self.settings.view: reads}, questions.views)

    def _remembered(
        self, magnification: float, questions: Questions, machine: Machine
    ) -> RememberedTeacher:
        """Return what answers the student of a magnification."""
        one = Student.of(self.student, magnification)
        teacher = self.teacher_digest + machine.way.suffix  # it answers a little otherwise
        folder = answers_folder(self.teachers.cache, teacher, one, questions.views)
        return RememberedTeacher(folder, questions, one)


def _plan(teachers: Teachers, inputs: Inputs, settings: DistilSettings) -> Plan:
    runs = teachers.runs
    source = _find_teacher(runs, inputs, settings)
    teacher_reads = load_description(source.model_path(), ModelDescription)
    inputs.check_prepared(teacher_reads.magnification, with_auxiliary=settings.with_auxiliary)
    fingerprints = inputs.fingerprints(with_auxiliary=settings.with_auxiliary)
    fingerprints["teacher"] = file_digest(source.model_path())
    sources = {"teacher": source}
    architecture = teacher_reads.architecture
    student = build_seeded(architecture, len(inputs.classes), seed=settings.seed)
    refuse_batch_norm(student, f"a student like {source.name} ({architecture})")
    lesson = _Lesson(
        teachers, source, fingerprints["teacher"], teacher_reads, student, inputs, settings
    )
    if settings.init is not None:
        sources["init"] = start_from(student, runs, settings.init, inputs, settings)
        fingerprints["init"] = file_digest(sources["init"].model_path())
    return Plan(
        "student",
        settings.magnification,
        fingerprints,
        lesson.method,
        sources,
        settings.unrelated,
        settings.learns_from,
        _parts(settings, architecture, teacher_reads.magnification),
    )


def _find_teacher(runs: Path, inputs: Inputs, settings: DistilSettings) -> RunFolder:
    """Find the run to learn from, and refuse one that the student cannot learn from."""
    if not any(inputs.items[split] for split in settings.learns_from):
        raise ConfigError(
            "--learn-from auxiliary needs auxiliary slides, there are none to learn from; give "
            "slides without labels the split auxiliary, or learn from labelled ones"
        )
    magnification = settings.magnification
    try:
        source = find_source(
            runs,
            settings.teacher,
            "teacher",
            magnification=TEACHER_MAGNIFICATION,
            settings=settings,
        )
    except CheckpointError:
        # told now, or a teacher would be trained for a student that cannot read
        inputs.check_prepared(magnification, with_auxiliary=settings.with_auxiliary)
        raise
    # told first, or slides would be prepared for a student that the teacher cannot teach
    _check_kind(source, magnification)
    inputs.check_prepared(magnification, with_auxiliary=settings.with_auxiliary)
    check_source(source, inputs, settings.fold)
    return source


def _assume(settings: DistilSettings) -> tuple[Part, ...]:
    return _parts(settings, USUAL_MODEL, TEACHER_MAGNIFICATION)


def _parts(
    settings: DistilSettings, architecture: str, teacher_magnification: float
) -> tuple[Part, ...]:
    """Describe the student and the teacher, who are of one architecture."""
    views = settings.view_count if settings.teacher_pass == "cached" else None  # noqa: S105
    return (
        Part("student", architecture, settings.magnification),
        Part("teacher", architecture, teacher_magnification, learns=False, views=views),
    )


def _questions(inputs: Inputs, settings: DistilSettings) -> Questions:
    """List the regions and views that the teacher is asked about once."""
    items = [item for split in settings.learns_from for item in inputs.items[split]]
    views = CountedViews(settings.augment, settings.view_count, [item.name for item in items])
    return Questions(inputs.store, items, inputs.items["val"], views, settings.epochs)


def _check_kind(source: RunFolder, student_mag: float) -> None:
    made = source.read_provenance()
    if not made.kind.can_teach or (made.magnification or 0.0) <= student_mag:
        raise ConfigError(
            f"{source.path}: is {kind_of(source)}; a student at --student-mag {student_mag:g} "
            f"needs a teacher or baseline above {format_magnification(student_mag)}"
        )
