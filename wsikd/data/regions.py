"""Regions of the store as items of a data set: some magnifications of each, and its label."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from wsikd.cohort.splits import classes_of
from wsikd.errors import ManifestError, StoreError
from wsikd.store import RegionStore

UNLABELLED = -1
_KEPT_BYTES = 2**28  # of decoded views, a data set


class RegionItem(NamedTuple):
    """One tissue region and what the manifest says of its slide; `label` is empty if unknown."""

    slide_id: str
    patient_id: str
    region_id: str
    split: str
    label: str

    @property
    def name(self) -> str:
        """What messages call the region; no other has that name."""
        return f"{self.slide_id}/{self.region_id}"


def list_items(
    store: RegionStore, manifest: pd.DataFrame, splits: Sequence[str]
) -> list[RegionItem]:
    """List the regions of some splits, by slide and region.

    Slides that are not in the store are left out; `unprepared_slides` names them.

    Parameters
    ----------
    store : RegionStore
        Holds the regions.
    manifest : DataFrame
        With the splits filled in, as `wsikd.cohort.splits.splits_of_fold` returns it.
    splits : sequence of str
        Any of "train", "val", "test", "auxiliary".

    Raises
    ------
    StoreError
        If training slides of some classes are in the store, and none of another class.
    """
    chosen = manifest[manifest["split"].isin(splits) & manifest["slide_id"].isin(store.slide_ids())]
    items = [
        RegionItem(row["slide_id"], row["patient_id"], region.region_id, row["split"], row["label"])
        for row in chosen.sort_values("slide_id").to_dict("records")
        for region in store.read_slide(row["slide_id"]).regions
    ]
    trained = {item.label for item in items if item.split == "train"}
    lacking = [label for label in classes_of(manifest) if label not in trained]
    if trained and lacking:
        raise StoreError(
            f"{store.path}: no training slide of label {lacking[0]!r} was prepared; "
            "see its status.csv, or drop the label"
        )
    return items


def unprepared_slides(store: RegionStore, manifest: pd.DataFrame) -> list[str]:
    """Name the slides with a split or a fold that are not in the store: failed, or not tried."""
    wanted = manifest.loc[(manifest["split"] != "") | (manifest["fold"] != ""), "slide_id"]
    return sorted(set(wanted) - set(store.slide_ids()))


class RegionDataset(Dataset[dict[str, Tensor]]):
    """Reads each region as a dict of named views, its label and its index.

    A view is uint8 of shape (3, height, width), of any size. "label" is the place of the label in
    `classes`, or -1 without one; "index" is the item's place in `items`. Views are kept in memory
    while there is room, as every epoch reads them again; reader processes keep none.

    Parameters
    ----------
    store : RegionStore
        Holds the pixels.
    items : sequence of RegionItem
        The regions.
    views : mapping of str to float
        Name of each view and its magnification.
    classes : sequence of str
        The labels, in the order of the logits.
    weights : mapping of str to float, optional
        How much a region of each label counts in the loss; an item then has it as "weight".

    Raises
    ------
    ManifestError
        If an item that is not auxiliary has a label outside `classes`.
    """

    def __init__(
        self,
        store: RegionStore,
        items: Sequence[RegionItem],
        views: Mapping[str, float],
        classes: Sequence[str],
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._weights = weights
        self._store, self._items, self._views = store, items, dict(views)
        self._labels = [_place(item, classes) for item in items]
        self._kept: dict[tuple[RegionItem, float], Tensor] = {}
        self._room = _KEPT_BYTES

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        item = self._items[index]
        views = {
            name: self._read_view(item, magnification)
            for name, magnification in self._views.items()
        }
        label, place = torch.tensor(self._labels[index]), torch.tensor(index)
        found = {**views, "label": label, "index": place}
        if self._weights is not None:
            found["weight"] = torch.tensor(self._weights[item.label])
        return found

    def _read_view(self, item: RegionItem, magnification: float) -> Tensor:
        kept = self._kept.get((item, magnification))
        if kept is None:
            kept = self._decode(item, magnification)
            if kept.nbytes <= self._room and get_worker_info() is None:
                self._kept[item, magnification] = kept
                self._room -= kept.nbytes
        return kept

    def _decode(self, item: RegionItem, magnification: float) -> Tensor:
        pixels = self._store.read_pixels(item.slide_id, item.region_id, magnification)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _place(item: RegionItem, classes: Sequence[str]) -> int:
    if item.label in classes:
        return classes.index(item.label)
    if item.label and item.split != "auxiliary":
        raise ManifestError(
            f"slide {item.slide_id}: label {item.label!r} must be one of {', '.join(classes)}"
        )
    return UNLABELLED
