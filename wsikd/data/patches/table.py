"""The table of patches: where they are on their slides, and what is known of each."""

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from wsikd.cohort.columns import read_cells, rule_broken
from wsikd.errors import ManifestError

_REQUIRED = ("slide_id", "x", "y")
_OWN = ("label", "patient_id", "split", "fold")


class PatchRow(NamedTuple):
    """A row of the table, its number in the file, and all that is known of the patch."""

    slide_id: str
    x: float
    y: float
    number: int
    known: Mapping[Hashable, Any]


def read_patch_table(path: Path, slides: pd.DataFrame) -> list[PatchRow]:
    """Read a CSV of patches: slide_id, x, y, and any of label, patient_id, split, fold.

    Cells that are filled in go before the slide's. If the table has a column split or fold, neither
    is taken from the slides, so that patches of one slide can be split; then they need patient ids
    that are not in two splits.

    Parameters
    ----------
    path : Path
        x and y are the patch's top left corner in level-0 pixels of its slide.
    slides : DataFrame
        Manifest of the slides that were prepared.

    Raises
    ------
    ManifestError
        If the file is no such table, or a row breaks a rule; the message names it.
    """
    table = read_cells(path)
    for column in _REQUIRED:
        if column not in table:
            found = ", ".join(table.columns)
            raise ManifestError(f"{path}: needs a column {column}, has {found}; add it")
    inherited = slides.assign(split="", fold="") if {"split", "fold"} & set(table) else slides
    known = {row["slide_id"]: row for row in inherited.to_dict("records")}
    return [
        _read_row(row, number, path, known)
        for number, row in enumerate(table.to_dict("records"), start=2)
    ]


def _read_row(
    row: Mapping[Hashable, Any],
    number: int,
    path: Path,
    known: Mapping[str, Mapping[Hashable, Any]],
) -> PatchRow:
    slide_id = row["slide_id"]
    if slide_id not in known:
        raise ManifestError(
            f"{path}: slide {slide_id!r} in row {number} is not among the {len(known)} prepared "
            "slides; prepare it or take the row out"
        )
    own: dict[Hashable, Any] = {name: row[name] for name in _OWN if row.get(name)}
    for name, text in own.items():
        if rule := rule_broken(str(name), text):
            raise ManifestError(f"{path}: {name} in row {number} must be {rule}, got {text!r}")
    x, y = (_number(row[axis], axis, number, path) for axis in ("x", "y"))
    return PatchRow(slide_id, x, y, number, {**known[slide_id], **own})


def _number(text: str, axis: str, number: int, path: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ManifestError(f"{path}: {axis} in row {number} must be a number, got {text!r}")
    return value
