"""Cells of a manifest that may not mean what they are taken for."""

import re
from collections import defaultdict
from collections.abc import Iterable
from unicodedata import normalize

import pandas as pd

_UNKNOWN = {
    *("na", "n/a", "n.a.", "nan", "null", "unknown", "unk", "undefined", "missing"),
    *("not available", "not applicable", "not known", "-", "--", "?"),
    *("#n/a", "#name?", "#ref!", "#value!", "#div/0!", "#null!", "#num!"),  # of spreadsheets
}
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+", flags=re.IGNORECASE)  # as spreadsheets show numbers
_TAKEN_FOR = {
    "patient_id": ("patient", "name their patients"),
    "label": ("class", "leave the cell empty if it is not known"),
    "site": ("site", "name their sites"),
}


def find_doubts(table: pd.DataFrame, *, by_site: bool = False) -> list[str]:
    r"""Tell in a line each which values look as if nothing were known, or as if misspelt.

    They are taken as they stand, since "NA" can be somebody's initials.

    Parameters
    ----------
    table : DataFrame
        A manifest.
    by_site : bool
        Whether the column `site` is looked at, too.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["NA", "p1", "NA"], "label": ["Tumor", "tumor", "a"]})
    >>> print(*find_doubts(table), sep="\n")
    patient_id is 'NA' of 2 slides, which are taken for one patient; name their patients
    label has 'Tumor' and 'tumor', which are taken for two; write them alike if they are one
    """
    columns = ("patient_id", "label", *(("site",) if by_site else ()))
    return [note for column in columns for note in _doubts_of(table[column], column)]


def _doubts_of(cells: "pd.Series[str]", column: str) -> list[str]:
    counts = cells[cells != ""].value_counts()
    notes = []
    for value, count in sorted(counts.items()):
        # one slide of a patient who is not known is one patient all the same
        least = 2 if column == "patient_id" else 1
        if str(value).casefold() in _UNKNOWN and count >= least:
            notes.append(_about_unknown(column, str(value), int(count)))
    rounded = [value for value in sorted(counts.index) if _ROUNDED.fullmatch(value)]
    if rounded:
        notes.append(
            f"{column} has {rounded[0]!r}, a number that a spreadsheet rounded; format the column "
            "as text and enter it again"
        )
    alike = _written_alike(counts.index)
    if alike:
        names = " and ".join(repr(value) for value in alike[0][:2])
        more = f" (and {len(alike) - 1} more)" if len(alike) > 1 else ""
        notes.append(
            f"{column} has {names}{more}, which are taken for two; write them alike if they are one"
        )
    return notes


def _about_unknown(column: str, value: str, count: int) -> str:
    slides = "1 slide, which is" if count == 1 else f"{count} slides, which are"
    taken_for, remedy = _TAKEN_FOR[column]
    return f"{column} is {value!r} of {slides} taken for one {taken_for}; {remedy}"


def _written_alike(values: Iterable[str]) -> list[list[str]]:
    """Group the values that differ in case, blanks or the making of accents alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for value in sorted(values):
        groups[" ".join(normalize("NFC", value).casefold().split())].append(value)
    return [group for group in groups.values() if len(group) > 1]
