"""The columns of a manifest: their names, the names other tools give them, what a cell may hold."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from wsikd.errors import ManifestError

COLUMNS = (
    "slide_id",
    "patient_id",
    "path",
    "label",
    "split",
    "fold",
    "mpp",
    "objective_power",
    "site",
    "stain",
    "mask_path",
)
PATH_COLUMNS = ("path", "mask_path")
SPLITS = ("train", "val", "test", "auxiliary")
_LONGEST_ID = 200  # file systems take names of 255 bytes, and temporary ones are longer than the id
# tried in this order, whatever their case
ALIASES: Mapping[str, tuple[str, ...]] = {
    "slide_id": ("slide", "sample_id", "image_id"),
    "patient_id": ("case_id", "patient", "case"),
    "path": ("image_path", "wsi", "filename", "image"),
    "label": ("ground_truth_label",),
    "mpp": ("spacing_at_level_0", "openslide.mpp-x"),
    "objective_power": ("openslide.objective-power",),
    "mask_path": ("mask",),
}


def read_cells(path: Path) -> pd.DataFrame:
    """Read a CSV file as text without outer blanks, its columns under our names.

    Raises
    ------
    ManifestError
        If the file is missing, no CSV in UTF-8, not separated by commas, or has no rows, ragged
        ones or a column twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        _refuse_other_separators(path, text)
        lines = csv.reader(io.StringIO(text), strict=True)
        rows = [[cell.strip() for cell in line] for line in lines]
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file; wsikd prepare makes one") from None
    except IsADirectoryError:
        raise ManifestError(f"{path}: must be a file, is a folder; move the folder away") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: must be CSV in UTF-8; {error}") from None
    header, *rows = [row for row in rows if any(row)] or [[]]
    if not rows:
        raise ManifestError(f"{path}: holds no slide")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ManifestError(f"{path}: column {twice[0]!r} is there twice; rename one")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ManifestError(f"{path}: row {number} has {len(row)} cells, not {len(header)}")
    return pd.DataFrame(rows, columns=header, dtype=str).rename(columns=canonical_names(header))


def canonical_names(names: Iterable[str]) -> dict[str, str]:
    """Map the names found in a file to ours, where they differ; a column of our name comes first.

    Examples
    --------
    >>> canonical_names(["Slide", "case_id", "path", "image", "scanner"])
    {'Slide': 'slide_id', 'case_id': 'patient_id'}
    """
    names = list(names)
    found: dict[str, str] = {}
    for column in COLUMNS:
        wanted = (column, *ALIASES.get(column, ()))
        matches = [name for alias in wanted for name in names if name.lower() == alias]
        if column not in names and matches:
            found[matches[0]] = column
    return found


def rule_broken(column: str, text: str) -> str | None:
    """Tell what a filled cell must be and is not; None if it keeps its rule.

    Examples
    --------
    >>> rule_broken("mpp", "0,25")
    'a number above 0'
    >>> rule_broken("mpp", "0.25")
    """
    if column not in _RULES or not text:
        return None
    holds, rule = _RULES[column]
    return None if holds(text) else rule


def _refuse_other_separators(path: Path, text: str) -> None:
    header = text.lstrip().partition("\n")[0]
    for mark, found in ((";", "semicolons"), ("\t", "tabs")):
        if mark in header.strip() and "," not in header:
            raise ManifestError(
                f"{path}: must be CSV, is separated by {found}; separate the columns by commas"
            )


def _is_folder_name(text: str) -> bool:
    if text.startswith(".") or not text.isprintable() or set(text) & set("/\\"):
        return False
    return len(text.encode()) <= _LONGEST_ID


def _is_above_0(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


_RULES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "slide_id": (
        _is_folder_name,
        f"usable as the name of a folder, of at most {_LONGEST_ID} bytes",
    ),
    "split": (SPLITS.__contains__, f"one of {', '.join(SPLITS)}"),
    "fold": (str.isdecimal, "a whole number from 0"),
    "mpp": (_is_above_0, "a number above 0"),
    "objective_power": (_is_above_0, "a number above 0"),
}
