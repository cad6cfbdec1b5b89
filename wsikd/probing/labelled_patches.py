"""What is probed: labelled patches as one branch sees them, dealt into folds and shares."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsikd.cohort.splits import classes_of, splits_of_fold
from wsikd.data.pairs import Shown
from wsikd.data.patches import PatchSettings, PatchSource
from wsikd.data.patches.seen import seen_patches
from wsikd.data.statistics import image_statistics
from wsikd.errors import ManifestError, NothingUsableError
from wsikd.geometry import Pixels, format_magnification, magnification_to_mpp
from wsikd.methods.region_inputs import folds_of
from wsikd.models.weights import ModelDescription

_DEALT = ["slide_id", "patient_id", "label", "split", "fold"]
_ROW = ["slide_id", "patient_id", "region_id", "split", "label"]


class LabelledPatches:
    """The labelled patches of a source as one branch sees them.

    Parameters
    ----------
    source : PatchSource
        Patches with labels and splits or folds; those without a label take no part.
    shown : Shown
        What the branch sees of each: the source itself, or a partner.
    name : str
        The name of the patches.
    view : str
        The name of the patches as this branch sees them, in the names of controls.
    cache : Path
        Folder of decoded patches.

    Raises
    ------
    ManifestError
        If there are fewer than two classes.
    """

    def __init__(
        self, source: PatchSource, shown: Shown, name: str, view: str, cache: Path
    ) -> None:
        labelled = (source.table["label"] != "") & (source.table["split"] != "auxiliary")
        self._rows = labelled.to_numpy().nonzero()[0]
        self._table = source.table[labelled].reset_index(drop=True)
        self._region_ids = [source.items[row].region_id for row in self._rows]
        self._source, self._shown, self._cache = source, shown, cache
        self.name, self.view = name, view
        self.magnification, self.size = shown.magnification, shown.size
        self.inputs = {"patches": source.fingerprint, "view": shown.fingerprint}
        self._splits: dict[int | None, pd.DataFrame] = {}
        self.classes = classes_of(self._table)
        if len(self.classes) < 2:
            found = ", ".join(self.classes) or "none"
            raise ManifestError(
                f"{source.origin}: patches must have at least 2 classes, have {found}; label them, "
                "or name a table with --table"
            )

    @cached_property
    def pixels(self) -> Pixels:
        """All patches of the source, shape (patches, height, width, 3)."""
        return self._shown.pack(self._cache)

    @cached_property
    def seen(self) -> pd.DataFrame:
        """What all patches of the source show, as `wsikd.data.patches.seen.seen_patches` tells."""
        return seen_patches(self._source, self._cache)

    @property
    def origin(self) -> str:
        """Where the patches are from, for messages."""
        return self._source.origin

    def name_of(self, row: int) -> str:
        """Name a patch, by its place among the pixels, for messages."""
        return self._source.name(row)

    @property
    def rows(self) -> list[int]:
        """Where among the pixels the labelled patches are."""
        return [int(row) for row in self._rows]

    def is_like(self, other: "LabelledPatches") -> bool:
        """Tell whether the others have the same pixels, labels, patients, splits and folds."""
        mine, others = self._table[_DEALT], other._table[_DEALT]
        return self.inputs == other.inputs and mine.equals(others)

    def folds(self, fold: int | None) -> tuple[int | None, ...]:
        """Return the folds to probe: the one asked for, else all; (None,) without folds."""
        return folds_of(self._table, fold)

    def deal(self, fold: int | None, percent: float, seed: int) -> pd.DataFrame:
        """Return the patches of a fold, and which of them are learnt from.

        Parameters
        ----------
        fold : int or None
            Which patches are tested; None takes the column `split`.
        percent : float
            Of the training patches of each class, rounded, but at least one is learnt from. A
            larger share contains the smaller ones.
        seed : int
            Of the choice.

        Returns
        -------
        DataFrame
            By place among the pixels: slide_id, patient_id, region_id, split, label; and train,
            whether it is learnt from.

        Raises
        ------
        NothingUsableError
            If no patch is tested.
        """
        if fold not in self._splits:
            self._splits[fold] = self._split(fold)
        table = self._splits[fold]
        return table.assign(train=_choose(table, percent, seed))

    def _split(self, fold: int | None) -> pd.DataFrame:
        table = splits_of_fold(self._table, fold).assign(region_id=self._region_ids)[_ROW]
        if not (table["split"] == "test").any():
            raise NothingUsableError(
                f"{self.origin}: no labelled patch is tested; name --test-images, or a --table "
                "with split or fold"
            )
        return table.set_axis(self._rows)


def label_of(settings: PatchSettings, source: PatchSource) -> str:
    """Name patches after what they are: folder or magnification, and size in pixels."""
    if settings.images is None:
        what = format_magnification(source.magnification)
    else:
        what = re.sub(r"[^\w.+-]+", "-", settings.images.absolute().name).strip("-.")
    return f"{what}-{source.size.width}px"


def describe_patches(
    patches: LabelledPatches, architecture: str, rows: Sequence[int]
) -> ModelDescription:
    """Describe a model that reads the patches, with mean and std of these rows: training ones."""
    mean, std = image_statistics(patches.pixels[row] for row in rows)
    return ModelDescription(
        architecture=architecture,
        classes=patches.classes,
        magnification=patches.magnification,
        mpp=magnification_to_mpp(patches.magnification),
        mean=mean,
        std=std,
    )


def _choose(table: pd.DataFrame, percent: float, seed: int) -> NDArray[np.bool_]:
    """Mark the share of the training patches, class by class."""
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(table), np.bool_)
    train = (table["split"] == "train").to_numpy()
    for label in sorted(set(table.loc[train, "label"])):
        places = np.flatnonzero(train & (table["label"] == label).to_numpy())
        count = max(1, round(len(places) * percent / 100))
        chosen[generator.permutation(places)[:count]] = True
    return chosen
