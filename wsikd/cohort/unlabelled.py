"""Slides without a label: which of them students learn from, and which take no part."""

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from wsikd.cohort.manifest import refuse_empty

Unlabelled = Literal["auxiliary", "leave-out", "refuse"]
"""What becomes of slides without a label when splits are dealt."""

AUXILIARY = "auxiliary"
_TESTED = ("val", "test")


def is_left_out(table: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the slides that take no part: they have no label and are not auxiliary."""
    return (table["label"] == "") & (table["split"] != AUXILIARY)


def is_dealt(table: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the slides that have a label and are not auxiliary: the others get no split or fold."""
    return (table["label"] != "") & (table["split"] != AUXILIARY)


def state_unlabelled(table: pd.DataFrame, how: Unlabelled | None) -> pd.DataFrame:
    """Return the manifest in which the column `split` says what becomes of unlabelled slides.

    Parameters
    ----------
    table : DataFrame
        A manifest.
    how : str or None
        "auxiliary" and "leave-out" hold for all unlabelled slides. None leaves those auxiliary
        that are, and leaves out the others; "refuse" refuses the others.

    Raises
    ------
    ManifestError
        If a slide is refused; the message names the first.
    """
    unlabelled = table["label"] == ""
    stated = table["split"].where(~unlabelled | (table["split"] == AUXILIARY), "")
    if how == "refuse":
        asked = table.assign(label=table["label"].where(table["split"] != AUXILIARY, "none"))
        refuse_empty(asked, "label", "fill it in, or set split to auxiliary")
    elif how is not None:
        stated = stated.mask(unlabelled, AUXILIARY if how == "auxiliary" else "")
    return table.assign(split=stated)


def leave_out_tested(table: pd.DataFrame) -> pd.DataFrame:
    """Return the manifest without the unlabelled auxiliary slides of patients that are tested.

    A student that had learnt from one would be validated or tested on a patient that it knows.
    """
    return table.assign(split=table["split"].mask(_is_of_tested(table), ""))


def _is_of_tested(table: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the unlabelled auxiliary slides whose patient is validated or tested."""
    tested = set(table.loc[is_dealt(table) & table["split"].isin(_TESTED), "patient_id"]) - {""}
    auxiliary = (table["split"] == AUXILIARY) & (table["label"] == "")
    return auxiliary & table["patient_id"].isin(tested)


def leave_out_of_fold(table: pd.DataFrame, splits: Mapping[str, str]) -> pd.DataFrame:
    """Return the manifest without the auxiliary slides that belong to what a fold tests.

    They are those of a patient who is validated or tested, and those whose own fold is: folds by
    site test on hospitals that nothing was learnt from.

    Parameters
    ----------
    table : DataFrame
        A manifest with folds.
    splits : mapping of str to str
        The split that each fold is.
    """
    places = table["fold"].map(splits).fillna("")
    tested = set(table.loc[places.isin(_TESTED), "patient_id"]) - {""}
    seen = places.isin(_TESTED) | table["patient_id"].isin(tested)
    seen &= table["split"] == AUXILIARY
    # without its label it is no class of this fold's
    return table.assign(split=table["split"].mask(seen, ""), label=table["label"].mask(seen, ""))


def about_unlabelled(
    table: pd.DataFrame, what: str = "slides", *, undecided: bool = False
) -> list[str]:
    """Tell in a line each which slides take no part though they are in the manifest.

    Parameters
    ----------
    table : DataFrame
        A manifest with splits or folds.
    what : str
        What its rows are.
    undecided : bool
        Whether nobody has said what becomes of slides without a label, so that it is advised.
    """
    notes = []
    out = table[is_left_out(table)]
    if len(out):
        advice = "; label them, or let students learn from them with split auxiliary"
        notes.append(
            f"{what} without a label that are left out: {len(out)} of {len(table)}, first "
            f"{out['slide_id'].iloc[0]!r}{advice if undecided else ''}"
        )
    waiting = table[_is_of_tested(table)]
    if len(waiting):
        notes.append(
            f"auxiliary {what} that are left out: {len(waiting)} of {len(table)}, first "
            f"{waiting['slide_id'].iloc[0]!r}; their patients are validated or tested"
        )
    auxiliary = table["split"] == AUXILIARY
    dealt = set(table.loc[~auxiliary & (table["fold"] != ""), "patient_id"]) - {""}
    some = table[auxiliary & ((table["fold"] != "") | table["patient_id"].isin(dealt))]
    if len(some):
        notes.append(
            f"auxiliary {what} that belong to a fold: {len(some)} of {len(table)}, first "
            f"{some['slide_id'].iloc[0]!r}; they are left out where it is validated or tested"
        )
    return notes
