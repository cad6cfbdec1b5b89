"""The folder of one run: resolved settings, provenance, log, model, predictions.

`runs/<name>/` is the waist between learning and numbers; docs/formats.md describes it. Only this
module knows its file names.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

import pandas as pd

from wsikd.config import Settings, first_difference, load_document, load_yaml, save, with_defaults
from wsikd.errors import CheckpointError, ConfigError, ResumeError, StoreError
from wsikd.files import clear_up, replacing, write_json
from wsikd.locks import alone, in_turn
from wsikd.runs.extending import Growth, find_growth, refuse_extension
from wsikd.runs.learnt import read_learnt, write_learnt
from wsikd.runs.log import append_entry, drop_entries, read_entries
from wsikd.runs.names import refuse_other_fold, refuse_taken
from wsikd.runs.predictions import PREDICTION_COLUMNS, read_predictions
from wsikd.runs.provenance import Provenance
from wsikd.versions import installed_versions

_HOW_NOT_WHAT = {
    "workers",
    "device",
    "kernels",
    "checkpoint_minutes",
    "resident",
    "batch_mpix",
    "memory_gib",
}
"""Settings that may change when a run is taken up."""
_PACKAGES = ("wsikd", "torch", "numpy", "zarr", "pandas", "scikit-learn")
_ANEW = "remove the folder to start anew, or name another run with --name"

_LOCK = ".lock"

Checkpoint = Literal["best", "last"]
"""Which model of a run: that of the best validation loss, or of the last epoch."""
_CHECKPOINTS: tuple[Checkpoint, ...] = get_args(Checkpoint)

Branch = Literal["primary", "privileged"]
"""Which encoder of a paired run: that of the routine image, or of the image beside it."""


class RunFolder:
    """Reads and writes the folder of one run.

    Parameters
    ----------
    path : Path
        The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def name(self) -> str:
        """Name of the run, such as "student-1.25x-fold0"."""
        return self.path.name

    @property
    def _remedy(self) -> str:
        return f"remove {self.path} and train it again"

    @property
    def _learnt_path(self) -> Path:
        return self.path / "learnt.csv"

    @property
    def _log_path(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def settings_path(self) -> Path:
        return self.path / "settings.yaml"

    @property
    def state_path(self) -> Path:
        """Folder of the training state: optimizer, position, random numbers."""
        return self.path / "state"

    def model_path(self, checkpoint: Checkpoint = "best", branch: Branch = "primary") -> Path:
        """Return the weights of the best validation loss, or of the last epoch.

        Of a paired training the model is the encoder of its primary branch, and there is that of
        the privileged branch beside it.
        """
        return branch_path(self.path / f"model{_suffix(checkpoint)}.safetensors", branch)

    def predictions_path(self, checkpoint: Checkpoint = "best") -> Path:
        return self.path / f"predictions{_suffix(checkpoint)}.csv"

    def start(
        self, settings: Settings, provenance: Provenance, *, may_grow: Collection[str] = ()
    ) -> Self:
        """Create the folder, or take up one that was made with the same settings and inputs.

        Settings that may grow and did are written down; a run that was finished is no longer, and
        has no predictions then.

        Raises
        ------
        ResumeError
            If the folder exists and was made with others; the message names the first difference.
            If a setting grew, and another run started from this one or its state is gone.
        BusyError
            If so, and another process is writing to it.
        ConfigError
            If a new run is named like a fold that it is not.
        """
        if not self.exists():
            refuse_taken(provenance.name)
            refuse_other_fold(provenance.name, provenance.fold)
            with in_turn(self.path / _LOCK):
                if not self.exists():  # or another process was quicker
                    self._create(settings, provenance)
                    return self
        before = with_defaults(self.read_settings(), type(settings))
        growth = find_growth(before, settings.model_dump(mode="json"), may_grow)
        self._refuse_other(before | {grown.name: grown.now for grown in growth}, settings)
        self._refuse_other_inputs(provenance)
        if growth:
            self._extend(settings, growth[0])
        return self

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from writing to the run during a block; `BusyError` names one that does.

        What a process left that was killed while it wrote is removed.
        """
        with alone(
            self.path / _LOCK,
            lambda holder: f"{self.path}: {holder} is writing to it; try again when it is done",
        ):
            for folder in (self.path, self.state_path):
                clear_up(folder)
            yield

    def exists(self) -> bool:
        """Tell whether the run was started."""
        return (self.path / "run.json").exists()

    def is_complete(self) -> bool:
        """Tell whether the run was finished."""
        return self.exists() and self.read_provenance().status == "complete"

    def finish(self, *, seconds: float) -> None:
        """Mark the run as complete."""
        update = {"status": "complete", "finished": _now(), "seconds": seconds}
        self.write_provenance(self.read_provenance().model_copy(update=update))

    def read_provenance(self) -> Provenance:
        """Read `run.json`.

        Raises
        ------
        CheckpointError
            If it is missing, damaged or of another format version.
        """
        return load_document(self.path / "run.json", Provenance, CheckpointError, self._remedy)

    def write_provenance(self, provenance: Provenance) -> None:
        write_json(self.path / "run.json", provenance.model_dump(mode="json"))

    def read_settings(self) -> dict[str, Any]:
        """Read the resolved settings of its start, or raise `CheckpointError` if damaged."""
        try:
            return load_yaml(self.settings_path)
        except ConfigError as error:
            raise CheckpointError(f"{error}; {self._remedy}") from None

    def log(self, entry: dict[str, Any]) -> None:
        """Append one line to `log.jsonl`: epoch, steps, named losses of train and val, seconds."""
        append_entry(self._log_path, entry)

    def read_log(self) -> list[dict[str, Any]]:
        """Read `log.jsonl`: of an epoch that was redone the last line, and no line cut short."""
        return read_entries(self._log_path)

    def forget_after(self, epoch: int) -> None:
        """Drop the epochs after this one from `log.jsonl`, for a run that goes on from there."""
        drop_entries(self._log_path, after=epoch)

    def write_predictions(self, table: pd.DataFrame, checkpoint: Checkpoint = "best") -> None:
        """Write one row per region: `PREDICTION_COLUMNS`, then p_0, p_1, ... in class order."""
        missing = [name for name in PREDICTION_COLUMNS if name not in table.columns]
        assert not missing, missing
        with replacing(self.predictions_path(checkpoint)) as temporary:
            table.to_csv(temporary, index=False)

    def read_predictions(self, checkpoint: Checkpoint = "best") -> pd.DataFrame:
        """Read the predictions, ids as text.

        Raises
        ------
        CheckpointError
            If there are none yet, or the file is damaged.
        """
        path = self.predictions_path(checkpoint)
        if not path.exists():
            raise CheckpointError(f"{path}: no predictions; finish the run {self.name} first")
        classes = self.read_provenance().classes
        try:
            return read_predictions(path, classes)
        except ValueError as error:  # pandas' own, and text that is no number or no UTF-8
            reason = " ".join(str(error).split())
            raise CheckpointError(
                f"{path}: must be a table of predictions; {reason}; {self._remedy}"
            ) from None

    def write_learnt(self, table: pd.DataFrame) -> None:
        """Write what was seen: any of `LEARNT_COLUMNS`, a row for each slide, image or patch."""
        write_learnt(self._learnt_path, table)

    def has_learnt(self) -> bool:
        """Tell whether the run recorded what it has seen; older ones did not always."""
        return self._learnt_path.exists()

    def read_learnt(self) -> pd.DataFrame:
        """Read what was seen, all of `LEARNT_COLUMNS` as text.

        Raises
        ------
        CheckpointError
            If it is missing or damaged.
        """
        return read_learnt(self._learnt_path, self._remedy)

    def _create(self, settings: Settings, provenance: Provenance) -> None:
        self._write_settings(settings)
        fresh = {"versions": installed_versions(_PACKAGES), "started": _now()}
        self.write_provenance(provenance.model_copy(update=fresh))

    def _extend(self, settings: Settings, grown: Growth) -> None:
        models = [self.model_path(checkpoint) for checkpoint in _CHECKPOINTS]
        with self.alone():
            refuse_extension(self.path, grown, self.state_path, models)
            # the settings last: after a crash in between, the same call does all of it again
            update = {"status": "running", "finished": None, "seconds": None}
            self.write_provenance(self.read_provenance().model_copy(update=update))
            for checkpoint in _CHECKPOINTS:
                self.predictions_path(checkpoint).unlink(missing_ok=True)
            self._write_settings(settings)

    def _write_settings(self, settings: Settings) -> None:
        with replacing(self.settings_path) as temporary:
            save(settings, temporary)

    def _refuse_other(self, before: Mapping[str, Any], settings: Settings) -> None:
        now = settings.model_dump(mode="json")
        difference = first_difference(before, now, ignored=_HOW_NOT_WHAT)
        if difference is not None:
            self._refuse_held()
            key, old, new = difference
            raise ResumeError(
                f"{self.path}: was started with {key} {old!r}, now asked for {new!r}; {_ANEW}"
            )

    def _refuse_other_inputs(self, provenance: Provenance) -> None:
        made = self.read_provenance()
        for key in sorted(made.inputs.keys() | provenance.inputs.keys()):
            if made.inputs.get(key) != provenance.inputs.get(key):
                self._refuse_held()
                raise ResumeError(f"{self.path}: {key} changed since it was started; {_ANEW}")

    def _refuse_held(self) -> None:
        """Refuse if another process is writing to the run: nobody should remove the folder now."""
        with suppress(OSError, StoreError), self.alone():  # what cannot be locked is not held
            pass


def branch_path(model: Path, branch: Branch) -> Path:
    """Return where the encoder of a branch is, from where the run's model is.

    Examples
    --------
    >>> branch_path(Path("model-last.safetensors"), "privileged").name
    'privileged-last.safetensors'
    """
    stem = "model" if branch == "primary" else branch
    return model.with_name(model.name.replace("model", stem, 1))


def _suffix(checkpoint: Checkpoint) -> str:
    return "" if checkpoint == "best" else f"-{checkpoint}"


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")
