"""The manifest: the table of slides, patients, labels and splits; reading and writing it.

A manifest is a DataFrame of text with at least `COLUMNS`, empty text where nothing is known, one
row per slide. `path` and `mask_path` are absolute in memory, and relative to the file on disk.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from wsikd.cohort.columns import COLUMNS, PATH_COLUMNS, read_cells, rule_broken
from wsikd.cohort.listing import SLIDE_SUFFIXES, list_slides
from wsikd.cohort.naming import file_key, find_slides, name_slides, path_key, plain_blanks
from wsikd.cohort.places import find_files, written
from wsikd.errors import ManifestError, NothingUsableError
from wsikd.files import write_text


def read_manifest(
    path: Path, slides: Path | None = None, known: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Read a manifest: CSV with a header, columns under their own or a neighbour's name.

    Parameters
    ----------
    path : Path
        Paths inside the file are relative to its folder. Without a column `slide_id`, a slide is
        named after its file.
    slides : Path or None
        Folder in which a table without a column `path` finds its slides by `slide_id`, and in which
        files that are not where the table says are looked for.
    known : mapping of str to str, or None
        Names that slides keep, by path; see `name_slides`.

    Raises
    ------
    ManifestError
        If the file is missing or no such table, or a row breaks a rule; the message names it.
    """
    table = read_cells(path)
    if "path" not in table:
        if slides is None or "slide_id" not in table:
            found = ", ".join(table.columns)
            raise ManifestError(f"{path}: needs a column path, has {found}; add the column path")
        refuse_empty(table, "slide_id")
        table["slide_id"], table["path"] = find_slides(list(table["slide_id"]), slides, known)
    else:
        table["path"] = _found(table, path.parent, slides)
    if "mask_path" in table:
        table["mask_path"] = find_files(list(table["mask_path"]), path.parent, slides)
    if "slide_id" in table:
        table["slide_id"] = [_plain_id(text) for text in table["slide_id"]]
    else:
        refuse_empty(table.assign(slide_id=""), "path")
        table["slide_id"] = name_slides([Path(text) for text in table["path"]], known)
    return _completed(table)


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Write a manifest atomically; paths below the file's folder become relative to it."""
    below = f"{path.parent.absolute()}{os.sep}"
    cells = table.copy()
    for column in PATH_COLUMNS:
        cells[column] = [written(text.removeprefix(below)) for text in table[column]]
    write_text(path, cells.to_csv(index=False))


def manifest_from_folder(
    folder: Path,
    known: Mapping[str, str] | None = None,
    on_note: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Take a folder's own manifest, its one CSV file, or else list its slides.

    Parameters
    ----------
    folder : Path
        With slides in it, or in its subfolders.
    known : mapping of str to str, or None
        Names that slides keep, by path; see `name_slides`.
    on_note : callable
        Told in a line each what is left out.

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
    tables = sorted(
        path for path in folder.glob("[!.]*") if path.suffix.lower() == ".csv" and path.is_file()
    )
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise ManifestError(f"{folder}: one CSV file can be its manifest, has {names}; choose one")
    listing = list_slides(folder)
    if tables:
        table = read_manifest(tables[0], folder, known)
        _note_unnamed(table, listing.slides, on_note)
        return table
    if not listing.slides:
        left_out = f"holds no slide, {listing.left_out()}".rstrip(", ")
        raise NothingUsableError(
            f"{folder}: {left_out}; put files of {', '.join(SLIDE_SUFFIXES)}, or folders of DICOM "
            "files, into it"
        )
    for note in listing.notes():
        on_note(note)
    paths = [path.absolute() for path in listing.slides]
    table = pd.DataFrame({"slide_id": name_slides(paths, known), "path": paths}, dtype=str)
    table.attrs["source"] = str(folder)
    return _completed(table)


def _plain_id(text: str) -> str:
    """Return a slide_id with plain blanks, if it keeps its rule by that."""
    plain = plain_blanks(text).strip()
    broken, mended = (rule_broken("slide_id", name) for name in (text, plain))
    return plain if broken and not mended else text


def _found(table: pd.DataFrame, near: Path, folder: Path | None) -> list[str]:
    """Find the files of the column `path`, each its own."""
    texts = list(table["path"])
    found = find_files(texts, near, folder)
    rows: dict[str, int] = {}
    for row, (text, path) in enumerate(zip(texts, found, strict=True)):
        first = rows.setdefault(path, row)
        # a file that is stated twice is told later; one that was looked for is in doubt
        if text and texts[first] != text and path != str(near.absolute() / text):
            start = table.attrs["first_row"]
            raise ManifestError(
                f"{source_of(table)}: path {texts[first]!r} in row {first + start} and {text!r} in "
                f"row {row + start} would both be {path}; correct one"
            )
    return found


def _note_unnamed(
    table: pd.DataFrame, slides: Sequence[Path], on_note: Callable[[str], None]
) -> None:
    paths = [Path(text) for text in table["path"]]
    named = {path_key(path) for path in paths}
    unnamed = [path for path in slides if path_key(path) not in named]
    if unnamed:  # or named by other paths, which takes longer to know
        files = {file_key(path) for path in paths}
        unnamed = [path for path in unnamed if file_key(path) not in files]
    if unnamed:
        on_note(
            f"{source_of(table)}: {len(unnamed)} of {len(slides)} slides beside it are not in it "
            f"and left out, the first is {unnamed[0].name}"
        )


def _completed(table: pd.DataFrame) -> pd.DataFrame:
    """Bring the columns into order, add missing ones, check the rows."""
    others = [name for name in table.columns if name not in COLUMNS]
    table = table.reindex(columns=[*COLUMNS, *others], fill_value="")
    refuse_empty(table, "slide_id")
    refuse_empty(table, "path")
    refuse_twice(table)
    for column in COLUMNS:
        for slide_id, text in zip(table["slide_id"], table[column], strict=True):
            if rule := rule_broken(column, text):
                raise ManifestError(
                    f"{source_of(table)}: {column} of slide {slide_id!r} must be {rule}, got "
                    f"{text!r}"
                )
    return table


def refuse_twice(table: pd.DataFrame) -> None:
    """Refuse a manifest with a slide_id in two rows.

    Raises
    ------
    ManifestError
        The message names the rows.
    """
    rows_of: dict[str, int] = {}
    for row, slide_id in enumerate(table["slide_id"], start=table.attrs.get("first_row", 2)):
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
    start = table.attrs.get("first_row", 2)
    for row, (slide_id, text) in enumerate(
        zip(table["slide_id"], table[column], strict=True), start
    ):
        if not text:
            raise ManifestError(
                f"{source_of(table)}: {column} of slide {slide_id!r} in row {row} is empty; "
                f"{remedy}"
            )


def source_of(table: pd.DataFrame) -> str:
    """Return the file or folder a manifest was read from, for messages."""
    return str(table.attrs.get("source", "manifest"))
