"""Two controls that any model must beat: the most common class, and colour alone.

They see the same splits as the models and are written as ordinary runs of method "control", so
that everything downstream treats them alike. Stain differs between hospitals and organs; a model
that is no better than a colour histogram has not been shown to see structure.
"""

import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsikd.cohort.splits import classes_of, fold_count, splits_of_fold
from wsikd.data.copies import refuse_copies, tell_slides
from wsikd.errors import CheckpointError, ConfigError, LeakageError, ManifestError, StoreError
from wsikd.evaluation import ControlSettings
from wsikd.evaluation.metrics import Floats
from wsikd.geometry import Pixels
from wsikd.hashing import text_digest
from wsikd.locks import in_turn
from wsikd.runs import Provenance, RunFolder, find_runs, pooled_name, probability_columns, run_name
from wsikd.store import RegionStore

_TOLD = ("content", "pixels")  # what tells a slide, in the table of regions


class Control(Protocol):
    """Computes class probabilities of some regions after seeing the training regions."""

    def __call__(self, regions: pd.DataFrame, histograms: Floats, classes: Sequence[str]) -> Floats:
        """Return probabilities, (regions, K); column train of `regions` marks what it sees."""


def refresh_controls(
    runs: Path, store: RegionStore, manifest: pd.DataFrame, settings: ControlSettings
) -> list[str]:
    """Write the controls of every fold that a finished run is of, and remove those of others.

    Parameters
    ----------
    runs, store, manifest, settings
        As of `write_controls`.

    Returns
    -------
    list of str
        Why the controls could not be made, if so: numbers of the models do not wait for them.
    """
    count, folds = fold_count(manifest), set[int | None]()
    for run in find_runs(runs):
        with suppress(CheckpointError):  # said when the runs are read
            made = run.read_provenance()
            if made.kind.follows_splits and made.status == "complete":
                folds.add(made.fold)
    folds &= {None} if count is None else set(range(count))
    _remove_others(runs, folds)
    return write_controls(runs, store, manifest, sorted(folds, key=str), settings)


def write_controls(
    runs: Path,
    store: RegionStore,
    manifest: pd.DataFrame,
    folds: Sequence[int | None],
    settings: ControlSettings,
) -> list[str]:
    """Write the runs `control-majority` and `control-colour` for the folds given.

    A control that was made from the same regions, splits and settings is kept.

    Parameters
    ----------
    runs : Path
        The folder of all runs.
    store : RegionStore
        Regions of every slide; read at the coarsest magnification they have in common.
    manifest : DataFrame
        Slides with labels and splits.
    folds : sequence of int or None
        Folds to write a run for; None is the manifest's own split.
    settings : ControlSettings
        How the regions are seen.

    Returns
    -------
    list of str
        Why they could not be made, if so.
    """
    failed = "the controls were not made: "
    try:
        if not store.magnifications():
            rule = "no magnification that all slides have; prepare them alike"
            return [f"{failed}{store.path}: {rule}"]
        with in_turn(runs / ".controls.lock"):  # trainings of one fold may end at the same time
            _write_folds(runs, store, manifest, folds, settings)
    except LeakageError as error:
        _remove_others(runs, set())  # those made before may have learnt from what is tested
        return [f"{failed}{error}"]
    except StoreError as error:
        return [f"{failed}{error}"]
    return []


def _write_folds(
    runs: Path,
    store: RegionStore,
    manifest: pd.DataFrame,
    folds: Sequence[int | None],
    settings: ControlSettings,
) -> None:
    view = _View(store, min(store.magnifications()), settings.bins)
    classes = classes_of(manifest)
    of_folds = {fold: splits_of_fold(manifest, fold) for fold in folds}
    auxiliary = manifest["split"] == "auxiliary"
    for table in of_folds.values():  # as a training does
        refuse_copies(store, table.assign(split=table["split"].mask(auxiliary, "auxiliary")))
    for fold, table in of_folds.items():
        regions = _list_regions(store, table)
        for method, control in CONTROLS.items():
            made = Provenance(
                name=run_name(method, fold=fold),
                method="control",
                magnification=view.magnification if control is colour_probabilities else None,
                fold=fold,
                classes=classes,
                inputs={"regions": _fingerprint(regions), "seen": f"{view.magnification:g}x"},
            )
            run = RunFolder(runs / made.name)
            if not _is_current(run, made, settings):
                _write(run, made, settings, regions, _predict(control, regions, view, classes))


def majority_probabilities(
    regions: pd.DataFrame, histograms: Floats, classes: Sequence[str]
) -> Floats:
    """Return for every region the frequencies of the classes among the training regions."""
    labels = regions.loc[regions["train"], "label"]
    frequencies = labels.value_counts(normalize=True).reindex(list(classes), fill_value=0.0)
    return np.tile(frequencies.to_numpy(np.float64), (len(histograms), 1))


def colour_probabilities(
    regions: pd.DataFrame, histograms: Floats, classes: Sequence[str]
) -> Floats:
    """Fit a logistic regression to the colour histograms of the training regions."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  a second to load

    train = regions["train"].to_numpy()
    labels = regions.loc[train, "label"]
    if labels.nunique() < 2:  # nothing to tell apart
        return majority_probabilities(regions, histograms, classes)
    fitted = LogisticRegression(C=10.0, max_iter=2000).fit(histograms[train], labels)
    probabilities = np.zeros((len(regions), len(classes)))
    columns = [list(classes).index(name) for name in fitted.classes_]
    probabilities[:, columns] = fitted.predict_proba(histograms)
    return probabilities


CONTROLS: dict[str, Control] = {
    "control-majority": majority_probabilities,
    "control-colour": colour_probabilities,
}


def colour_histogram(pixels: Pixels, bins: int) -> Floats:
    """Count a region's colours in a joint histogram of red, green and blue.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    bins : int
        Equal bins per channel.

    Returns
    -------
    ndarray of float, shape (bins ** 3,)
        Square roots of the frequencies, so that distances are Hellinger's and rare colours count.

    Examples
    --------
    >>> black_and_white = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    >>> (colour_histogram(black_and_white, 2) ** 2).round(3).tolist()
    [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
    """
    binned = pixels.reshape(-1, 3).astype(np.int64) * bins // 256
    cells = np.ravel_multi_index(tuple(binned.T), (bins, bins, bins))
    counts: NDArray[np.int64] = np.bincount(cells, minlength=bins**3)
    return np.asarray(np.sqrt(counts / counts.sum()), np.float64)


class _View:
    """Colour histograms of regions, each read once however many folds ask for it."""

    def __init__(self, store: RegionStore, magnification: float, bins: int) -> None:
        self.magnification = magnification
        self._store, self._bins = store, bins
        self._known: dict[tuple[str, str], Floats] = {}

    def histograms(self, regions: pd.DataFrame) -> Floats:
        keys = list(zip(regions["slide_id"], regions["region_id"], strict=True))
        for key in keys:
            if key not in self._known:
                pixels = self._store.read_pixels(*key, self.magnification)
                self._known[key] = colour_histogram(pixels, self._bins)
        return np.stack([self._known[key] for key in keys])


def _list_regions(store: RegionStore, splits: pd.DataFrame) -> pd.DataFrame:
    by_slide = splits[splits["label"] != ""].set_index("slide_id")
    listed = [name for name in store.slide_ids() if name in by_slide.index]
    rows = [
        {
            "slide_id": slide_id,
            "patient_id": by_slide.at[slide_id, "patient_id"],
            "region_id": region.region_id,
            "split": by_slide.at[slide_id, "split"],
            "label": by_slide.at[slide_id, "label"],
            "width": region.levels[-1].width,
            "height": region.levels[-1].height,
            "gmacs": 0.0,
        }
        for slide_id in listed
        for region in store.read_slide(slide_id).regions
    ]
    regions = pd.DataFrame(rows)
    if regions.empty or not (regions["split"] == "train").any():
        raise ManifestError("the manifest has no labelled training slide that is in the store")
    told = tell_slides(store, listed)
    return regions.assign(train=regions["split"] == "train").join(told, on="slide_id")


def _predict(
    control: Control, regions: pd.DataFrame, view: _View, classes: Sequence[str]
) -> pd.DataFrame:
    table = regions.drop(columns=["train", *_TOLD])
    table[probability_columns(classes)] = control(regions, view.histograms(regions), classes)
    return table[table["split"].isin(["val", "test"])]


def _write(
    run: RunFolder,
    made: Provenance,
    settings: ControlSettings,
    regions: pd.DataFrame,
    predictions: pd.DataFrame,
) -> None:
    shutil.rmtree(run.path, ignore_errors=True)
    run.start(settings, made)
    used = regions[regions["split"].isin(["train", "val", "test"])]
    about = ["slide_id", "patient_id", "split", "label", *_TOLD]
    run.write_learnt(used[about].assign(traced="yes"))
    run.write_predictions(predictions)
    run.finish(seconds=0.0)


def _remove_others(runs: Path, folds: Collection[int | None]) -> None:
    """Remove the controls of other folds, which would be pooled with these."""
    wanted = {run_name(method, fold=fold) for method in CONTROLS for fold in folds}
    for run in find_runs(runs):
        if pooled_name(run.name) in CONTROLS and run.name not in wanted:
            with suppress(CheckpointError):  # a damaged run is left out by name, not removed
                if run.read_provenance().kind.is_control:
                    shutil.rmtree(run.path)


def _is_current(run: RunFolder, made: Provenance, settings: ControlSettings) -> bool:
    if not _is_whole(run) or not run.is_complete() or not run.has_learnt():
        return False
    if not run.predictions_path().exists():
        return False
    before = run.read_provenance()
    same = (before.inputs, before.classes) == (made.inputs, made.classes)
    return same and run.read_settings() == settings.model_dump(mode="json")


def _is_whole(run: RunFolder) -> bool:
    """Tell whether what a control's folder records can be read; else it is made anew."""
    try:
        return run.exists() and bool(run.read_provenance().name) and bool(run.read_settings())
    except (CheckpointError, ConfigError):
        return False


def _fingerprint(regions: pd.DataFrame) -> str:
    return text_digest(regions.to_csv(index=False))[:16]
