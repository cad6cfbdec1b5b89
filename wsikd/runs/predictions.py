"""`predictions.csv`: what a run says of each region, beside what the region is."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

PREDICTION_COLUMNS = (
    "slide_id",
    "patient_id",
    "region_id",
    "split",
    "label",
    "width",
    "height",
    "gmacs",
)
"""Columns of `predictions.csv`, before the probabilities `p_0`, `p_1`, …."""
_TEXT_COLUMNS = ("slide_id", "patient_id", "region_id", "split", "label")


def probability_columns(classes: Iterable[str]) -> list[str]:
    """Name the columns of the class probabilities.

    Examples
    --------
    >>> probability_columns(["normal", "sprue"])
    ['p_0', 'p_1']
    """
    return [f"p_{index}" for index, _ in enumerate(classes)]


def read_predictions(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Read predictions of these classes, ids as text.

    Raises
    ------
    ValueError
        If the file is damaged; of what kind, also pandas says so.
    """
    if not path.read_bytes().endswith(b"\n"):
        raise ValueError("its last line is cut short")
    columns = [*PREDICTION_COLUMNS, *probability_columns(classes)]
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"it has no column {missing[0]}")
    numbers = [name for name in columns if name not in _TEXT_COLUMNS]
    table = table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})
    if table[columns].isna().any(axis=None):
        raise ValueError("it has an empty cell")
    return table
