"""The columns of a manifest: their names, the names other tools give them, what a cell may hold."""

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from wsikd.cohort.naming import LONGEST_ID
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
NUMBERS = ("mpp", "objective_power")
SPLITS = ("train", "val", "test", "auxiliary")
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
    """Read a CSV file as text, as spreadsheets write it, its columns under our names.

    Cells are without outer blanks and have composed accents, but for names of slides and files.
    Commas, semicolons or tabs separate them; with the latter two a number may have a decimal comma.
    Columns without any text are left out. `attrs` has the `source` and the line of the `first_row`.

    Raises
    ------
    ManifestError
        If the file is missing, no CSV in Unicode, or has no rows, ragged ones, or a column twice or
        without a name.
    """
    mark, lines = _split(path, _read_text(path))
    filled = [number for number, cells in enumerate(lines) if any(cells)]
    if len(filled) < 2:
        raise ManifestError(f"{path}: holds no slide")
    header, rows = _even(path, lines[filled[0]], [(k + 1, lines[k]) for k in filled[1:]])
    table = pd.DataFrame(rows, columns=header, dtype=str)
    table = table.rename(columns=canonical_names(header))
    for column in table.columns.difference(["slide_id", *PATH_COLUMNS]):
        table[column] = table[column].str.normalize("NFC")
    for column in NUMBERS if mark != "," else ():
        if column in table:
            table[column] = table[column].str.replace(",", ".", n=1)
    table.attrs.update(source=str(path), first_row=filled[1] + 1)
    return table


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
        matches = [name for alias in wanted for name in names if alias in _spellings(name)]
        if column not in names and matches:
            found[matches[0]] = column
    return found


def _spellings(name: str) -> tuple[str, str]:
    """Return a column's name as our names are written, also as if blanks and hyphens were "_"."""
    lower = name.lower()
    return lower, re.sub(r"[\s_-]+", "_", lower)


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


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file; wsikd prepare makes one") from None
    except IsADirectoryError:
        raise ManifestError(f"{path}: must be a file, is a folder; move the folder away") from None
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path}: must be CSV in UTF-8; {error}; save it as CSV UTF-8"
        ) from None


def _split(path: Path, text: str) -> tuple[str, list[list[str]]]:
    """Return what separates the cells, and those of each line, trimmed."""
    stated = re.match(r'\s*"?sep=(.)"?[^\S\n]*(?:\r?\n|$)', text, flags=re.IGNORECASE)
    header = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    mark = max(",;\t", key=header.strip().count)
    if stated:
        # as Excel writes it; the line is emptied so that others keep their numbers
        mark, text = stated[1], "\n" * stated[0].count("\n") + text[stated.end() :]
    try:
        lines = csv.reader(io.StringIO(text), strict=True, delimiter=mark)
        return mark, [[cell.strip() for cell in line] for line in lines]
    except csv.Error as error:
        raise ManifestError(f"{path}: must be CSV in UTF-8; {error}") from None


def _even(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]]
) -> tuple[list[str], list[list[str]]]:
    """Leave out columns without any text; refuse what cannot be told to be of a column."""
    width = len(header)
    for number, row in rows:
        if len(row) < width or any(row[width:]):
            raise ManifestError(f"{path}: row {number} has {len(row)} cells, not {width}")
    kept = [k for k, name in enumerate(header) if name or any(row[k] for _, row in rows)]
    names = [header[k] for k in kept]
    if "" in names:
        place = kept[names.index("")] + 1
        raise ManifestError(f"{path}: column {place} has cells and no name; name it, or clear it")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ManifestError(f"{path}: column {twice[0]!r} is there twice; rename one")
    return names, [[row[k] for k in kept] for _, row in rows]


def _is_folder_name(text: str) -> bool:
    if text.startswith(".") or not text.isprintable() or set(text) & set("/\\"):
        return False
    return len(text.encode()) <= LONGEST_ID


def _is_above_0(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


_RULES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "slide_id": (
        _is_folder_name,
        f"usable as the name of a folder, of at most {LONGEST_ID} bytes",
    ),
    "split": (SPLITS.__contains__, f"one of {', '.join(SPLITS)}"),
    "fold": (str.isdecimal, "a whole number from 0"),
    "mpp": (_is_above_0, "a number above 0"),
    "objective_power": (_is_above_0, "a number above 0"),
}
