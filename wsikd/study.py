"""The commands from Python: a study is a workspace and what can be done in it.

Each method is the command of its name, takes the same options and finds its inputs in the same
places. What a method needs is imported when it is called, so that each third of the program works
where the libraries of the others are absent.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from wsikd.config import Settings, explain
from wsikd.errors import ConfigError
from wsikd.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from wsikd.evaluation import ControlSettings, EvaluateSettings, Metrics
    from wsikd.methods.distil import DistilSettings
    from wsikd.methods.finetune import FinetuneSettings
    from wsikd.methods.pair_settings import PairSettings
    from wsikd.methods.teach import TeachSettings
    from wsikd.prepare import PrepareSettings, SlideStatus
    from wsikd.runs import RunFolder
    from wsikd.store import RegionStore

SettingsType = TypeVar("SettingsType", bound=Settings)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  as the command line does


class Study:
    """A workspace and what can be done in it.

    Settings are given as an object, or field by field: `study.teach(epochs=20)`.

    Parameters
    ----------
    folder : Path, str or Workspace
        Holds `slides.csv`, `regions/` and `runs/`, or will.
    say : callable
        Told what is going on; writes to the standard error by default.

    Examples
    --------
    >>> study = Study("cohort")
    >>> study.workspace.runs.as_posix()
    'cohort/runs'
    """

    def __init__(
        self, folder: Path | str | Workspace = ".", *, say: Callable[[str], None] = _say
    ) -> None:
        self.workspace = folder if isinstance(folder, Workspace) else Workspace(Path(folder))
        self._say = say

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
        on_start: Callable[[int], None] = lambda _count: None,
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
            Told how many slides there are.

        Returns
        -------
        list of SlideStatus
            One per slide; those that failed are among them.
        """
        from wsikd.cohort.manifest import write_manifest  # noqa: PLC0415
        from wsikd.prepare import PrepareSettings, prepare_slides, take_in  # noqa: PLC0415

        how = _settings(PrepareSettings, settings, options)
        table = take_in(self.workspace.manifest, _path(slides), _path(manifest))
        self.workspace.root.mkdir(parents=True, exist_ok=True)
        write_manifest(table, self.workspace.manifest)
        self._say(f"{len(table)} slides in {self.workspace.manifest}")
        on_start(len(table))
        return prepare_slides(table, self.workspace.store, how, on_done, self._warn)

    def split(
        self,
        folds: int | None = None,
        fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
        seed: int = 0,
    ) -> "pd.DataFrame":
        """Deal the patients into training, validation and test, or into folds.

        Returns
        -------
        DataFrame
            The manifest as it was written.
        """
        from wsikd.cohort.manifest import write_manifest  # noqa: PLC0415
        from wsikd.cohort.splits import assign_folds, split_by_patient  # noqa: PLC0415

        table = self.manifest
        if folds is None:
            dealt = split_by_patient(table, fractions, seed)
        else:
            dealt = assign_folds(table, folds, seed)
        write_manifest(dealt, self.workspace.manifest)
        return dealt

    def teach(self, settings: "TeachSettings | None" = None, **options: Any) -> "list[RunFolder]":
        """Train a teacher at 10x, or a baseline at another magnification, from labels."""
        from wsikd.methods.teach import TeachSettings, teach  # noqa: PLC0415

        how = _settings(TeachSettings, settings, options)
        return teach(*self._training_data(), self.workspace.runs, how)

    def distil(self, settings: "DistilSettings | None" = None, **options: Any) -> "list[RunFolder]":
        """Train a student that reads at a low magnification, from a teacher, without labels."""
        from wsikd.methods.distil import DistilSettings, distil  # noqa: PLC0415

        how = _settings(DistilSettings, settings, options)
        return distil(*self._training_data(), self.workspace.runs, how)

    def finetune(
        self, settings: "FinetuneSettings | None" = None, **options: Any
    ) -> "list[RunFolder]":
        """Train the last layer of a student from labels."""
        from wsikd.methods.finetune import FinetuneSettings, finetune  # noqa: PLC0415

        how = _settings(FinetuneSettings, settings, options)
        return finetune(*self._training_data(), self.workspace.runs, how)

    def pair(self, settings: "PairSettings | None" = None, **options: Any) -> "list[RunFolder]":
        """Train an encoder without labels, from pairs of images of the same tissue."""
        from wsikd.data.pairs import open_views  # noqa: PLC0415
        from wsikd.data.patches import open_patches  # noqa: PLC0415
        from wsikd.methods.pair import pair  # noqa: PLC0415
        from wsikd.methods.pair_settings import PairSettings  # noqa: PLC0415

        how = _settings(PairSettings, settings, options)
        source = open_patches(how, self.workspace)
        shown = open_views(how, source)
        side, other = (shown[name].size.width for name in ("primary", "privileged"))
        count = len(source.items)
        self._say(f"{source.origin}: {count} patches, in pairs of {side} and {other} px")
        return pair(source, shown, self.workspace.cache, self.workspace.runs, how)

    def evaluate(self, settings: "EvaluateSettings | None" = None, **options: Any) -> "Metrics":
        """Score all runs on the test patients, with confidence intervals and controls."""
        from wsikd.evaluation import EvaluateSettings, evaluate_runs  # noqa: PLC0415

        how = _settings(EvaluateSettings, settings, options)
        table = self.manifest
        notes = self._make_controls(table, how.control)
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
        for note in self._make_pictures(table):
            self._say(f"note: {note}")
        write_report(self.workspace.runs, table, path)
        return path

    def _training_data(self) -> "tuple[RegionStore, pd.DataFrame]":
        """Open the regions and read the manifest, dealing splits if nobody has.

        Slides that were not prepared are said: they take no part.
        """
        from wsikd.data.regions import unprepared_slides  # noqa: PLC0415

        table, store = self._with_splits(), self.regions
        missing = unprepared_slides(store, table)
        if missing:
            self._say(
                f"{len(missing)} of {len(table)} slides are not in {store.path} and take no part, "
                f"first {missing[0]}; see {store.path / 'status.csv'}"
            )
        return store, table

    def _with_splits(self) -> "pd.DataFrame":
        from wsikd.cohort.splits import is_split  # noqa: PLC0415

        table = self.manifest
        if is_split(table):
            return table
        dealt = self.split()
        self._say(
            f"{self.workspace.manifest}: had no splits, now 70/15/15 by patient; "
            "wsikd split deals others"
        )
        return dealt

    def _make_controls(self, table: "pd.DataFrame", settings: "ControlSettings") -> list[str]:
        """Make the controls beside the finished runs; return what could not be made."""

        def make() -> list[str]:
            from wsikd.methods.controls import refresh_controls  # noqa: PLC0415

            return refresh_controls(self.workspace.runs, self.regions, table, settings)

        return self._where_the_regions_are("controls", make)

    def _make_pictures(self, table: "pd.DataFrame") -> list[str]:
        """Make the pictures of slides and regions; return what could not be made."""

        def make() -> list[str]:
            from wsikd.methods.pictures import refresh_pictures  # noqa: PLC0415

            refresh_pictures(self.workspace.runs, self.regions, table)
            return []

        return self._where_the_regions_are("pictures", make)

    def _where_the_regions_are(self, what: str, make: Callable[[], list[str]]) -> list[str]:
        if not self.workspace.store.is_dir():
            return []
        try:
            return make()
        except ModuleNotFoundError as error:
            return [f"the {what} are those made with the runs: {error.name} is not installed here"]

    def _warn(self, text: str) -> None:
        self._say(f"warning: {text}")


def _settings(
    kind: type[SettingsType], given: SettingsType | None, options: dict[str, Any]
) -> SettingsType:
    """Return the settings given, with the fields that are stated by name.

    Raises
    ------
    ConfigError
        If a field is unknown or breaks its rule.
    """
    stated = (
        {} if given is None else {name: getattr(given, name) for name in given.model_fields_set}
    )
    try:
        return kind(**{**stated, **options})
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def _path(place: Path | str | None) -> Path | None:
    return None if place is None else Path(place)
