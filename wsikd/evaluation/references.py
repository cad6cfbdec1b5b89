"""Which runs are held against which: a teacher and its students, and baselines that are alike."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from wsikd.evaluation.folds import PooledRun
from wsikd.evaluation.lineage import Lineage


class References:
    """Finds the runs that others are held against.

    Parameters
    ----------
    folder : Path
        The folder of all runs.
    runs : sequence of PooledRun
        Those that are evaluated, in reading order.

    Attributes
    ----------
    notes : list of str
        Which runs are not compared with what they learnt from, or with any teacher, and why.
    """

    def __init__(self, folder: Path, runs: Sequence[PooledRun]) -> None:
        self._runs = {run.name: run for run in runs}
        self._lineage = Lineage(folder, runs)
        self._taught = {
            run.name: teacher for run in runs if (teacher := self._lineage.teacher_of(run))
        }
        self._architectures = {run.name: _architectures(run) for run in runs}
        self.notes = [*self._lineage.notes]
        self._teachers = {run.name: self._find_teacher(run) for run in runs}

    def pairs(self) -> Iterator[tuple[PooledRun, PooledRun]]:
        """Yield the runs worth comparing, each with what it is compared to.

        A model is compared to its teacher, to its baseline, to the student that it was fine-tuned
        from, where these are others, and to the colour control.
        """
        for run in self._runs.values():
            if run.is_control:
                continue
            wanted = (
                self.teacher_of(run),
                self.baseline_of(run),
                self._lineage.student_of(run),
                self._runs.get("control-colour"),
            )
            for reference in wanted:
                if reference is None or reference is run or reference.classes != run.classes:
                    continue
                yield run, reference

    def teacher_of(self, run: PooledRun) -> PooledRun | None:
        """Return the teacher that a run's decisions and cost are held against.

        Of a student it is the run that taught it, whatever that is called, and of a fine-tuned run
        the one that taught its student. A teacher is its own. None if there is none to name.
        """
        return self._teachers[run.name]

    def baseline_of(self, run: PooledRun) -> PooledRun | None:
        """Return the baseline of a student: of its magnification, architecture and data.

        Of several it is the one of the same seed, else of the lowest.
        """
        if not run.provenance.kind.learns_from:
            return None
        alike = [
            other
            for other in self._runs.values()
            if other.provenance.kind.is_baseline and self._are_alike(run, other)
        ]

        def preference(other: PooledRun) -> tuple[bool, int, str]:
            seed = other.provenance.seed
            return seed != run.provenance.seed, seed, other.name

        return min(alike, key=preference, default=None)

    def _find_teacher(self, run: PooledRun) -> PooledRun | None:
        kind = run.provenance.kind
        if kind.is_control:
            return None
        if kind.is_teacher:
            return run
        return self._taught.get(run.name) if kind.learns_from else self._teacher_beside(run)

    def _teacher_beside(self, baseline: PooledRun) -> PooledRun | None:
        """Return the teacher of the students like a baseline, or the only one of its data.

        Students of the same seed go before others. A baseline that has taught, and for which there
        is no other teacher, is its own.
        """
        students = [
            run
            for run in self._runs.values()
            if run.name in self._taught and self._are_alike(baseline, run)
        ]
        same_seed = [run for run in students if run.provenance.seed == baseline.provenance.seed]
        teachers = {self._taught[run.name].name for run in same_seed or students}
        if not teachers:
            teachers = {
                run.name
                for run in self._all_teachers()
                if run is not baseline and _reads_no_less(run, baseline)
            }
        if not teachers and any(baseline is teacher for teacher in self._taught.values()):
            return baseline
        if len(teachers) > 1:
            several = " and ".join(sorted(teachers))
            self.notes.append(
                f"{baseline.name} is held against no teacher, as several could be it: {several}"
            )
        return self._runs[teachers.pop()] if len(teachers) == 1 else None

    def _all_teachers(self) -> list[PooledRun]:
        named = [run for run in self._runs.values() if run.provenance.kind.is_teacher]
        return [*named, *self._taught.values()]

    def _are_alike(self, run: PooledRun, other: PooledRun) -> bool:
        known = self._architectures[run.name]
        return (
            run.provenance.magnification == other.provenance.magnification
            and known is not None
            and known == self._architectures[other.name]
            and _have_the_same_data(run, other)
        )


def _reads_no_less(teacher: PooledRun, run: PooledRun) -> bool:
    fine, coarse = (one.provenance.magnification or 0.0 for one in (teacher, run))
    return fine >= coarse and _have_the_same_data(teacher, run)


def _have_the_same_data(run: PooledRun, other: PooledRun) -> bool:
    one, two = (
        {made.fold: made.inputs.get("splits") for made in each.made} for each in (run, other)
    )
    return one == two and None not in one.values() and run.classes == other.classes


def _architectures(run: PooledRun) -> list[str] | None:
    """Return the architecture of the model of each fold; None if one is not known."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [
            str(json.loads(folder.model_path().with_suffix(".json").read_bytes())["architecture"])
            for folder in run.folders
        ]
    return None
