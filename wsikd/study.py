"""The commands from Python: a study is a workspace and what can be done in it.

Each method is the command of its name. What it needs is imported when it is called, so that each
third of the program works where the libraries of the others are absent.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wsikd.config import SettingsType, resolve, stated_options
from wsikd.refreshing import make_controls, make_pictures
from wsikd.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from wsikd.cohort import SplitSettings
    from wsikd.evaluation import EvaluateSettings, Metrics
    from wsikd.methods.distil_settings import DistilSettings
    from wsikd.methods.finetune import FinetuneSettings
    from wsikd.methods.forecast import Forecast
    from wsikd.methods.pair_settings import PairSettings
    from wsikd.methods.teach import TeachSettings
    from wsikd.prepare import PrepareSettings, SlideStatus
    from wsikd.runs import RunFolder
    from wsikd.store import RegionStore
    from wsikd.training.settings import TrainingSettings


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  as the command line does


class Study:
    """A workspace and what can be done in it.

    Settings are given as an object, or field by field: `study.teach(epochs=20)`. What is not given
    is as `wsikd.yaml` in the folder states it, or by default.

    Parameters
    ----------
    folder : Path, str or Workspace
        Holds `slides.csv`, `regions/` and `runs/`, or will.
    say : callable
        Told what is going on; writes to the standard error by default.

    Examples
    --------
    >>> Study("cohort").workspace.runs.as_posix()
    'cohort/runs'
    """

    def __init__(
        self, folder: Path | str | Workspace = ".", *, say: Callable[[str], None] = _say
    ) -> None:
        self.workspace = folder if isinstance(folder, Workspace) else Workspace(Path(folder))
        self._say = say

    def __repr__(self) -> str:
        return f"Study({str(self.workspace.root)!r})"

    @property
    def manifest(self) -> "pd.DataFrame":
        """The slides with their patients, labels and splits, as `slides.csv` has them now."""
        from wsikd.cohort.manifest import read_manifest  # noqa: PLC0415

        return read_manifest(self.workspace.manifest)

    @property
    def regions(self) -> "RegionStore":
        """The prepared tissue regions."""
        from wsikd.store import RegionStore  # noqa: PLC0415

        return RegionStore(self.workspace.store)

    @property
    def runs(self) -> "list[RunFolder]":
        """All runs, by name."""
        from wsikd.runs import find_runs  # noqa: PLC0415

        return find_runs(self.workspace.runs)

    def prepare(
        self,
        slides: Path | str | None = None,
        *,
        manifest: Path | str | None = None,
        settings: "PrepareSettings | None" = None,
        on_done: "Callable[[SlideStatus], None]" = lambda _status: None,
        on_start: Callable[[list[Path]], None] = lambda _files: None,
        **options: Any,
    ) -> "list[SlideStatus]":
        """Find the tissue of slides and store it at every magnification.

        Parameters
        ----------
        slides : Path or str, optional
            Folder of slides; a CSV file in it is their manifest.
        manifest : Path or str, optional
            Table of slides, patients and labels, in place of a folder.
        settings : PrepareSettings, optional
            How; or its fields by name.
        on_done : callable
            Told each slide's outcome as it comes.
        on_start : callable
            Told the files of the slides.

        Returns
        -------
        list of SlideStatus
            One per slide; those that failed are among them.
        """
        from wsikd import prepare  # noqa: PLC0415
        from wsikd.cohort import find_doubts  # noqa: PLC0415

        how = self._settings(prepare.PrepareSettings, settings, options)
        told: list[str] = []
        table = prepare.take_in_and_write(
            self.workspace.manifest, _path(slides), _path(manifest), told.append
        )
        self._say(f"{len(table)} slides in {self.workspace.manifest}")
        self._note([*told, *find_doubts(table)])
        on_start([Path(path) for path in table["path"]])

        def warn(text: str) -> None:
            self._say(f"warning: {text}")

        done = prepare.prepare_slides(table, self.workspace.store, how, on_done, warn)
        self._say(prepare.show_slides(self.workspace.store))
        return done

    def split(self, settings: "SplitSettings | None" = None, **options: Any) -> "pd.DataFrame":
        """Deal the patients into training, validation and test, or folds; return the manifest."""
        from wsikd import cohort  # noqa: PLC0415

        how, table = self._settings(cohort.SplitSettings, settings, options), self.manifest
        self._note(cohort.find_doubts(table, by_site=how.folds == "site"))
        dealt = cohort.deal(table, how)
        cohort.write_manifest(dealt, self.workspace.manifest)
        self._note(cohort.about_splits(dealt, how))
        return dealt

    def teach(self, settings: "TeachSettings | None" = None, **options: Any) -> "list[RunFolder]":
        """Train a teacher, or a baseline at a lower magnification, from labels."""
        from wsikd.methods.teach import TeachSettings, teach  # noqa: PLC0415

        how = self._settings(TeachSettings, settings, options)
        return teach(*self._training_data(), self.workspace.runs, how)

    def distil(self, settings: "DistilSettings | None" = None, **options: Any) -> "list[RunFolder]":
        """Train a student that reads at a low magnification, from a teacher, without labels."""
        from wsikd.methods.distil import distil  # noqa: PLC0415
        from wsikd.methods.distil_settings import DistilSettings  # noqa: PLC0415

        how = self._settings(DistilSettings, settings, options)
        place = self.workspace
        return distil(*self._training_data(), place.runs, how, cache=place.cache)

    def finetune(
        self, settings: "FinetuneSettings | None" = None, **options: Any
    ) -> "list[RunFolder]":
        """Train the last layer of a student from labels."""
        from wsikd.methods.finetune import FinetuneSettings, finetune  # noqa: PLC0415

        how = self._settings(FinetuneSettings, settings, options)
        return finetune(*self._training_data(), self.workspace.runs, how)

    def plan(
        self,
        command: Literal["teach", "distil", "finetune"],
        settings: "TrainingSettings | None" = None,
        *,
        seconds: float = 10.0,
        **options: Any,
    ) -> "list[Forecast]":
        """Say what a training would compute, and what memory and time that takes.

        Parameters
        ----------
        command : str
            The method that would be called.
        settings : TrainingSettings, optional
            As for that method, or its fields by name.
        seconds : float
            To measure the time for; 0 leaves it out.

        Returns
        -------
        list of Forecast
            One for each fold; students that are trained side by side are in one.
        """
        from wsikd.methods import distil, distil_settings, finetune, teach  # noqa: PLC0415
        from wsikd.methods.planning import plan_training  # noqa: PLC0415

        kinds: dict[str, tuple[Any, type[Any]]] = {
            "teach": (teach, teach.TeachSettings),
            "distil": (distil, distil_settings.DistilSettings),
            "finetune": (finetune, finetune.FinetuneSettings),
        }
        method, kind = kinds[command]
        planned = method.planned(self.workspace.runs, self._settings(kind, settings, options))
        return plan_training(*self._training_data(), planned, seconds=seconds)

    def pair(self, settings: "PairSettings | None" = None, **options: Any) -> "list[RunFolder]":
        """Train an encoder without labels, from pairs of images of the same tissue."""
        from wsikd.cohort import about_unlabelled  # noqa: PLC0415
        from wsikd.data.pairs import open_views  # noqa: PLC0415
        from wsikd.data.patches import open_patches  # noqa: PLC0415
        from wsikd.methods.pair import pair  # noqa: PLC0415
        from wsikd.methods.pair_settings import PairSettings  # noqa: PLC0415

        how = self._settings(PairSettings, settings, options)
        source = open_patches(how, self.workspace)
        shown = open_views(how, source)
        side, other = (shown[name].size.width for name in ("primary", "privileged"))
        count = len(source.items)
        self._say(f"{source.origin}: {count} patches, in pairs of {side} and {other} px")
        if how.follows_splits(source.table):
            self._note(about_unlabelled(source.table, "patches"))
        return pair(source, shown, self.workspace.cache, self.workspace.runs, how)

    def evaluate(self, settings: "EvaluateSettings | None" = None, **options: Any) -> "Metrics":
        """Score all runs on the test patients, with confidence intervals and controls."""
        from wsikd.cohort import about_cohort  # noqa: PLC0415
        from wsikd.evaluation import EvaluateSettings, evaluate_runs  # noqa: PLC0415

        how = self._settings(EvaluateSettings, settings, options)
        table = self.manifest
        notes = [*about_cohort(table), *make_controls(self.workspace, table, how.control)]
        return evaluate_runs(self.workspace.runs, table, how, notes=notes)

    def report(self, output: Path | str | None = None) -> Path:
        """Write one HTML page on the slides and the runs.

        Returns
        -------
        Path
            The page; `report.html` in the workspace unless `output` names another.
        """
        from wsikd.report import write_report  # noqa: PLC0415

        path, table = _path(output) or self.workspace.report, self.manifest
        self._note(make_pictures(self.workspace, table))
        write_report(self.workspace.runs, table, path)
        return path

    def _settings(
        self, kind: type[SettingsType], given: SettingsType | None, options: dict[str, Any]
    ) -> SettingsType:
        command = kind.__name__.removesuffix("Settings").lower()
        return resolve(kind, given, options, stated_options(self.workspace.settings, command))

    def _training_data(self) -> "tuple[RegionStore, pd.DataFrame]":
        """Open the regions and read the manifest, dealing splits if nobody has.

        Slides that were not prepared are said: they take no part. Of several processes one deals.
        """
        from wsikd.data.regions import unprepared_slides  # noqa: PLC0415
        from wsikd.training.distributed import first_alone  # noqa: PLC0415

        with first_alone():
            table, store = self._with_splits(), self.regions
        missing = unprepared_slides(store, table)
        if missing:
            self._say(
                f"{len(missing)} of {len(table)} slides are not in {store.path} and take no part, "
                f"first {missing[0]}; see {store.path / 'status.csv'}"
            )
        return store, table

    def _with_splits(self) -> "pd.DataFrame":
        from wsikd.cohort import about_cohort, about_unlabelled, is_split  # noqa: PLC0415

        table, place = self.manifest, self.workspace.manifest
        if is_split(table):
            self._note([*about_cohort(table), *about_unlabelled(table)])
            return table
        dealt = self.split()
        self._say(f"{place}: had no splits, now dealt by patient; wsikd split deals others")
        return dealt

    def _note(self, notes: Iterable[str]) -> None:
        for note in notes:
            self._say(f"note: {note}")


def _path(place: Path | str | None) -> Path | None:
    return None if place is None else Path(place)
