"""What a run has seen: `learnt.csv`, and whether that is what another run is tested on.

Names tell little: a slide can be copied, and a tile be cut from it. So files and decoded pixels
are compared beside the ids of slides and patients.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from wsikd.errors import CheckpointError
from wsikd.files import replacing
from wsikd.hashing import pixels_differ, pixels_part

LEARNT_COLUMNS = (
    "slide_id",
    "patient_id",
    "split",
    "label",
    "content",
    "pixels",
    "perceptual",
    "width",
    "height",
    "traced",
    "asked",
    "via",
)
"""Columns of `learnt.csv`; older files have the first two, and perhaps `content`."""

_REQUIRED = ["slide_id", "patient_id"]
_BY_CONTENT, _BY_NAME = ("content", "pixels"), ("slide_id", "patient_id")


class Seen(NamedTuple):
    """Something tested that was learnt from.

    Attributes
    ----------
    column : str
        What is equal: "content" (the file), "pixels", "slide_id" or "patient_id".
    tested, learnt : Series
        The rows.
    """

    column: str
    tested: "pd.Series[str]"
    learnt: "pd.Series[str]"

    def __str__(self) -> str:
        """Tell what was seen, under which name, and through which run."""
        tested, learnt = self.tested["slide_id"], self.learnt["slide_id"]
        said = {
            "content": f"the file of {tested}",
            "pixels": f"the pixels of {tested}",
            "slide_id": f"slide {tested}",
            "patient_id": f"patient {self.tested['patient_id']}",
        }[self.column]
        if self.column in _BY_CONTENT and learnt != tested:
            said += f" under the name {learnt}"
        return said + (f" through {self.learnt['via']}" if self.learnt["via"] else "")


def completed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with all of `LEARNT_COLUMNS`, empty where nothing is known."""
    return table.reindex(columns=list(LEARNT_COLUMNS), fill_value="").fillna("").astype(str)


def write_learnt(path: Path, table: pd.DataFrame) -> None:
    """Write what was seen, each row once."""
    with replacing(path) as temporary:
        completed(table).drop_duplicates().to_csv(temporary, index=False)


def read_learnt(path: Path, remedy: str) -> pd.DataFrame:
    """Read what was seen, as text, with all of `LEARNT_COLUMNS`.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged; `remedy` ends the message.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return completed(table.astype(dict.fromkeys(_REQUIRED, str)))
    except (OSError, ValueError, KeyError):
        raise CheckpointError(f"{path}: must say which slides were learnt from; {remedy}") from None


def learnt_from(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a run learnt from or was chosen by; the others were kept for testing."""
    return table[table["split"] != "test"]


def inherited(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return what a run that starts from the run `name` has seen through it."""
    rows = learnt_from(table)
    return rows.assign(via=rows["via"].mask(rows["via"] == "", name))


def untraced(table: pd.DataFrame) -> pd.DataFrame:
    """Return the images of which nobody knows the patient: their names stand in for one."""
    rows = learnt_from(table)
    return rows[rows["traced"] == "no"]


def find_seen(learnt: pd.DataFrame, tested: pd.DataFrame) -> Iterator[Seen]:
    """Yield what is tested and was learnt from: equal files, pixels, slides, patients, in turn.

    Parameters
    ----------
    learnt : DataFrame
        As `read_learnt` returns it.
    tested : DataFrame
        With any of the same columns. What a run was chosen by may choose the next one, too: of
        rows of the split "val" both sides may have the same.

    Notes
    -----
    Slides whose pixels were made alike and differ are two, whatever the ends of their files.
    Ids do not count where `traced` is "no": then they are names of files, and equal by chance.
    """
    tested, learnt = completed(tested), learnt_from(learnt)
    chooses = tested["split"] == "val"
    for asked, known in (
        (tested[~chooses], learnt),
        (tested[chooses], learnt[learnt["split"] != "val"]),
    ):
        for column in _BY_CONTENT:
            yield from _equal(column, asked, known)
        for column in _BY_NAME:
            yield from _equal(column, *(rows[rows["traced"] != "no"] for rows in (asked, known)))


def _equal(column: str, tested: pd.DataFrame, learnt: pd.DataFrame) -> Iterator[Seen]:
    keys, asked = learnt[column], tested[column]
    if column == "pixels":
        keys, asked = keys.map(pixels_part), asked.map(pixels_part)
    both = set(keys) & set(asked) - {""}
    by_key = dict(list(learnt[keys.isin(both)].groupby(keys, sort=False)))
    is_known = asked.isin(both)
    for (_, row), key in zip(tested[is_known].iterrows(), asked[is_known], strict=True):
        known = by_key[key]
        if column == "content":  # the ends of files, which may deceive
            known = known[[not pixels_differ(one, row["pixels"]) for one in known["pixels"]]]
        if len(known):
            yield Seen(column, row, known.iloc[0])
