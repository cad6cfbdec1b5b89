"""What a training run starts from: the regions of its fold, and its folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from wsikd.cohort.splits import classes_of, fold_count, splits_digest, splits_of_fold
from wsikd.data.copies import refuse_copies
from wsikd.data.regions import RegionItem, list_items
from wsikd.errors import ConfigError, ManifestError, NothingUsableError, StoreError
from wsikd.geometry import format_magnification
from wsikd.hashing import digest
from wsikd.runs import Provenance, RunFolder, run_name
from wsikd.training.device import choose_device
from wsikd.training.display import Display
from wsikd.training.settings import FoldSettings, RunSettings

if TYPE_CHECKING:
    from wsikd.store import RegionStore

MethodName = Literal["teacher", "baseline", "student", "finetuned"]
TEACHER_MAGNIFICATION = 10.0  # 1 µm per pixel, as in the paper
LABELLED_SPLITS = ("train", "val", "test")
ALL_SPLITS = (*LABELLED_SPLITS, "auxiliary")


@dataclass(frozen=True)
class Inputs:
    """The regions of one fold, by split, and the store that holds their pixels."""

    store: "RegionStore"
    classes: tuple[str, ...]
    items: dict[str, list[RegionItem]]

    def fingerprints(self, *, with_auxiliary: bool = False) -> dict[str, str]:
        """Return hashes of the table and of the slides' records; equal inputs have equal ones."""
        labelled = [item for split in LABELLED_SPLITS for item in self.items[split]]
        slides = self._slides(with_auxiliary=with_auxiliary)
        found = {
            "splits": _digest_rows(labelled),
            "regions": digest(self.store.read_slide(name).model_dump_json() for name in slides),
        }
        if with_auxiliary:
            found["auxiliary"] = _digest_rows(self.items["auxiliary"])
        return found

    def check_prepared(self, magnification: float, *, with_auxiliary: bool = False) -> None:
        """Refuse a magnification that a region lacks.

        Raises
        ------
        StoreError
            The message names the slide and what it has.
        """
        for slide_id in self._slides(with_auxiliary=with_auxiliary):
            for region in self.store.read_slide(slide_id).regions:
                have = [level.magnification for level in region.levels]
                if magnification not in have:
                    raise StoreError(
                        f"{self.store.path / slide_id}: {format_magnification(magnification)} was "
                        f"not prepared, only {', '.join(map(format_magnification, have))}; choose "
                        "one of those, prepare it, or take the slide out of the manifest"
                    )

    def check_validated(self, asked: str, manifest: str) -> None:
        """Refuse what is asked for if there is no validation region that could decide it.

        Raises
        ------
        ConfigError
            The message names `manifest`, the file or folder of the splits.
        """
        if not self.items["val"]:
            raise ConfigError(
                f"{manifest}: {asked} needs validation regions, the split val has none; deal "
                f"patients to val with wsikd split, or leave {asked} out"
            )

    def describe_run(
        self, method: MethodName, magnification: float, fingerprints: dict[str, str]
    ) -> Provenance:
        """Describe what a run on these regions is, for `begin`."""
        return Provenance(
            name=method,
            method=method,
            magnification=magnification,
            classes=self.classes,
            inputs=fingerprints,
        )

    def _slides(self, *, with_auxiliary: bool) -> list[str]:
        used = ALL_SPLITS if with_auxiliary else LABELLED_SPLITS
        return sorted({item.slide_id for split in used for item in self.items[split]})


def usual_role(magnification: float) -> Literal["teacher", "baseline"]:
    """Return what a network is for that is taught at a magnification, unless it is said."""
    return "teacher" if magnification >= TEACHER_MAGNIFICATION else "baseline"


def read_inputs(store: "RegionStore", manifest: pd.DataFrame, fold: int | None) -> Inputs:
    """List the regions of a fold, or of the column `split` if `fold` is None.

    Raises
    ------
    ManifestError, LeakageError
        If the manifest does not allow to learn from it.
    NothingUsableError
        If no training slide is in the store.
    """
    table = splits_of_fold(manifest, fold)
    auxiliary = manifest["split"] == "auxiliary"  # left out for its patient, it is a copy still
    refuse_copies(store, table.assign(split=table["split"].mask(auxiliary, "auxiliary")))
    items = {split: list_items(store, table, (split,)) for split in ALL_SPLITS}
    if not items["train"]:
        raise NothingUsableError(f"{store.path}: no training slide; run wsikd prepare")
    classes = classes_of(table)
    if len(classes) < 2:
        found = ", ".join(classes) or "none"
        raise ManifestError(f"label must have at least 2 classes, has {found}; label more slides")
    return Inputs(store, classes, items)


def folds_of(manifest: pd.DataFrame, fold: int | None) -> tuple[int | None, ...]:
    """Return the folds to run: the one asked for, else all, else (None,) for the column `split`."""
    count = fold_count(manifest)
    if fold is not None or count is None:
        return (fold,)
    return tuple(range(count))


def begin(runs: Path, made: Provenance, settings: RunSettings) -> RunFolder:
    """Make the folder of a run or take up the one that is there, and tell so if it is finished.

    Parameters
    ----------
    runs : Path
        Folder of all runs.
    made : Provenance
        What it is and from what; its name is how the run's begins, if the settings have none.
    settings : RunSettings
        State the rest of the name, the fold if they have one, the seed and the device.

    Raises
    ------
    ResumeError
        If it was begun with other settings or inputs, but for settings that may grow and did.
    """
    fold = settings.fold if isinstance(settings, FoldSettings) else None
    if settings.name is None:
        name = run_name(made.name, made.magnification, fold, settings.seed)
    else:
        name = run_name(settings.name, fold=fold)
    device = str(choose_device(settings.device))
    how = {"name": name, "fold": fold, "seed": settings.seed, "device": device}
    about = made.model_copy(update=how)
    run = RunFolder(runs / name).start(settings, about, may_grow=settings.may_grow)
    if run.is_complete():
        Display(name).say("is finished already; nothing to do")
    return run


def _digest_rows(items: Iterable[RegionItem]) -> str:
    return splits_digest((item.slide_id, item.patient_id, item.split, item.label) for item in items)
