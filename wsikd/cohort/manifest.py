"""The manifest: the table of slides, patients, labels and splits; reading and writing it.

A manifest is a DataFrame of text with at least `COLUMNS`, empty text where nothing is known, one
row per slide. `path` and `mask_path` are absolute in memory, and relative to the file on disk.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from wsikd.cohort.columns import COLUMNS, PATH_COLUMNS, read_cells, rule_broken
from wsikd.cohort.listing import SLIDE_SUFFIXES, find_slides, list_slides, name_slides
from wsikd.errors import ManifestError, NothingUsableError
from wsikd.files import write_text


def read_manifest(
    path: Path, slides: Path | None = None, known: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Read a manifest: UTF-8 CSV with a header, columns under their own or a neighbour's name.

    Parameters
    ----------
    path : Path
        Paths inside the file are relative to its folder. Without a column `slide_id`, a slide is
        named after its file.
    slides : Path or None
        Folder in which a table without a column `path` finds its slides by `slide_id`.
    known : mapping of str to str, or None
        Names that slides keep, by path; see `name_slides`.

    Raises
    ------
    ManifestError
        If the file is missing or no such table, or a row breaks a rule; the message names it.
    """
    table = read_cells(path)
    table.attrs["source"] = str(path)
    if "path" not in table:
        if slides is None or "slide_id" not in table:
            found = ", ".join(table.columns)
            raise ManifestError(f"{path}: needs a column path, has {found}; add the column path")
        table["path"] = find_slides(list(table["slide_id"]), slides, known)
    if "slide_id" not in table:
        paths = [path.parent / text for text in table["path"]]
        table["slide_id"] = name_slides(paths, known)
    return _completed(table, path.parent)


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Write a manifest atomically; paths below the file's folder become relative to it."""
    folder = path.parent.absolute()
    written = table.copy()
    for column in PATH_COLUMNS:
        written[column] = [
            str(Path(text).relative_to(folder)) if Path(text).is_relative_to(folder) else text
            for text in table[column]
        ]
    write_text(path, written.to_csv(index=False))


def manifest_from_folder(folder: Path, known: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Take a folder's own manifest, its one CSV file, or else list its slides.

    Parameters
    ----------
    folder : Path
        With slides in it.
    known : mapping of str to str, or None
        Names that slides keep, by path; see `name_slides`.

    Raises
    ------
    ManifestError
        If the folder is missing, is a file, or has several CSV files.
    NothingUsableError
        If there is no slide in it.
    """
    if folder.is_file():
        raise ManifestError(
            f"{folder}: must be a folder of slides, is a file; give its folder, or a CSV file "
            "with --manifest"
        )
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder")
    tables = sorted(folder.glob("[!.]*.csv"))
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise ManifestError(f"{folder}: one CSV file can be its manifest, has {names}; choose one")
    if tables:
        return read_manifest(tables[0], folder, known)
    slides = list_slides(folder)
    if not slides:
        raise NothingUsableError(
            f"{folder}: holds no slide; put files of {', '.join(SLIDE_SUFFIXES)}, or folders of "
            "DICOM files, directly into it"
        )
    table = pd.DataFrame({"slide_id": name_slides(slides, known), "path": slides}, dtype=str)
    table.attrs["source"] = str(folder)
    return _completed(table, Path())


def _completed(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Bring the columns into order, add missing ones, make paths absolute, check the rows."""
    others = [name for name in table.columns if name not in COLUMNS]
    table = table.reindex(columns=[*COLUMNS, *others], fill_value="")
    refuse_empty(table, "slide_id")
    refuse_empty(table, "path")
    for column in PATH_COLUMNS:
        table[column] = [str((folder / text).absolute()) if text else "" for text in table[column]]
    _refuse_duplicates(table)
    for column in COLUMNS:
        for slide_id, text in zip(table["slide_id"], table[column], strict=True):
            if rule := rule_broken(column, text):
                raise ManifestError(
                    f"{source_of(table)}: {column} of slide {slide_id!r} must be {rule}, got "
                    f"{text!r}"
                )
    return table


def _refuse_duplicates(table: pd.DataFrame) -> None:
    rows_of: dict[str, int] = {}
    for row, slide_id in enumerate(table["slide_id"], start=2):
        first = rows_of.setdefault(slide_id, row)
        if first != row:
            raise ManifestError(
                f"{source_of(table)}: slide_id {slide_id!r} is in rows {first} and {row}; "
                "give each slide its own"
            )


def refuse_empty(table: pd.DataFrame, column: str, remedy: str = "fill it in") -> None:
    """Refuse a manifest with an empty cell in a column.

    Raises
    ------
    ManifestError
        The message names the first such row.
    """
    for row, (slide_id, text) in enumerate(zip(table["slide_id"], table[column], strict=True), 2):
        if not text:
            raise ManifestError(
                f"{source_of(table)}: {column} of slide {slide_id!r} in row {row} is empty; "
                f"{remedy}"
            )


def source_of(table: pd.DataFrame) -> str:
    """Return the file or folder a manifest was read from, for messages."""
    return str(table.attrs.get("source", "manifest"))
