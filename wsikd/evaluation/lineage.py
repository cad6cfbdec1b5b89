"""Who learnt from whom, by what the runs have recorded.

A run records the digest of the model that it learnt from. So its teacher is found by content, not
by a name, a seed or a magnification that another run may have as well.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from wsikd.errors import CheckpointError
from wsikd.evaluation.folds import PooledRun
from wsikd.hashing import file_digest
from wsikd.runs import Provenance, RunFolder, find_runs, pooled_name

_LOST = {"teacher": "its teacher", "student": "its student and teacher"}


class Lineage:
    """Finds the runs that evaluated runs have learnt from.

    Parameters
    ----------
    folder : Path
        The folder of all runs.
    runs : sequence of PooledRun
        Those that are evaluated, students before what was fine-tuned from them.

    Attributes
    ----------
    notes : list of str
        Which runs are not compared with what they learnt from, and why.
    """

    def __init__(self, folder: Path, runs: Sequence[PooledRun]) -> None:
        self.notes: list[str] = []
        self._folder, self._runs = folder, {run.name: run for run in runs}
        self._sources: dict[str, PooledRun] = {}
        learners = [run for run in runs if run.provenance.kind.learns_from]
        self._owners = _owners_of_models(folder) if learners else {}
        for run in learners:
            try:
                source = self._sources[run.name] = self._find(run)
            except CheckpointError as error:
                lost = _LOST[run.provenance.kind.learns_from or ""]
                self.notes.append(f"{run.name} is not compared with {lost}: {error}")
                continue
            if source.provenance.kind.learns_from and source.name not in self._sources:
                self.notes.append(f"{run.name} is not compared with the teacher of {source.name}")

    def student_of(self, run: PooledRun) -> PooledRun | None:
        """Return the student that a fine-tuned run goes on from."""
        is_fine_tuned = run.provenance.kind.learns_from == "student"
        return self._sources.get(run.name) if is_fine_tuned else None

    def teacher_of(self, run: PooledRun) -> PooledRun | None:
        """Return the run that taught a student, or the student that a run was fine-tuned from."""
        return self._sources.get((self.student_of(run) or run).name)

    def _find(self, run: PooledRun) -> PooledRun:
        """Return the run that all folds of this one learnt from, each from its own fold."""
        role = run.provenance.kind.learns_from or ""
        names = sorted({pooled_name(self._find_of_fold(made, role)) for made in run.made})
        if len(names) > 1:
            raise CheckpointError(f"folds learnt from {' and '.join(names)}")
        if names[0] not in self._runs:
            raise CheckpointError(f"{names[0]} is left out")
        return self._runs[names[0]]

    def _find_of_fold(self, made: Provenance, role: str) -> str:
        name = made.sources.get(role)
        owners = self._owners.get((made.inputs.get(role, ""), made.fold), [])
        if owners:  # several if a run was copied
            return name if name in owners else owners[0]
        if name is None:
            raise CheckpointError("it is gone or was made anew since")
        is_there = RunFolder(self._folder / name).exists()
        raise CheckpointError(f"{name} {'was made anew since' if is_there else 'is gone'}")


def _owners_of_models(folder: Path) -> dict[tuple[str, int | None], list[str]]:
    """Name the runs that have a model, by its digest and their fold."""
    owners: dict[tuple[str, int | None], list[str]] = defaultdict(list)
    for run in find_runs(folder):
        with suppress(CheckpointError, OSError):  # damaged, or without a model: no source
            made = run.read_provenance()
            if made.kind.is_evaluated and not made.kind.is_control:
                owners[file_digest(run.model_path()), made.fold].append(run.name)
    return owners
