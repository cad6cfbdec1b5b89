"""Regions of the store as items to learn from, each with its slide's label."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from wsikd.cohort.splits import classes_of
from wsikd.errors import ManifestError, StoreError
from wsikd.store import RegionStore

UNLABELLED = -1


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


def labels_of(items: Sequence[RegionItem], classes: Sequence[str]) -> list[int]:
    """Return the place of each item's label among the classes, or -1 without one.

    Raises
    ------
    ManifestError
        If an item that is not auxiliary has another label.
    """
    return [_place(item, classes) for item in items]


def _place(item: RegionItem, classes: Sequence[str]) -> int:
    if item.label in classes:
        return classes.index(item.label)
    if item.label and item.split != "auxiliary":
        raise ManifestError(
            f"slide {item.slide_id}: label {item.label!r} must be one of {', '.join(classes)}"
        )
    return UNLABELLED
