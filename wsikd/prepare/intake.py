"""Which slides a workspace holds: what it had, and what a folder or a table brings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from wsikd.cohort.listing import has_slide_suffix
from wsikd.cohort.manifest import manifest_from_folder, read_manifest, refuse_twice, write_manifest
from wsikd.cohort.naming import path_key
from wsikd.cohort.splits import check_no_leak
from wsikd.locks import in_turn


def take_in(
    existing: Path,
    folder: Path | None,
    given: Path | None,
    on_note: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Join what is brought to the workspace's manifest.

    Rows are matched by slide_id. What is brought wins cell by cell where it is filled in, so labels
    can be corrected at the source while splits and ids filled in here stay. A slide that is named
    after its file keeps the slide_id it has here, whatever lies beside it now.

    Parameters
    ----------
    existing : Path
        The workspace's manifest; need not be there.
    folder : Path or None
        A folder of slides, with or without its own CSV file.
    given : Path or None
        A manifest; slides that are not beside it, or without a path, are looked for in `folder`.

    on_note : callable
        Told in a line each what is left out of the folder.

    Raises
    ------
    ManifestError
        If neither is given and the workspace has no manifest, or one of them breaks a rule.
    LeakageError
        If a patient or a file is in two splits: better known before hours of preparing than after.
    NothingUsableError
        If the folder holds no slide.
    """
    held = read_manifest(existing) if existing.exists() else None
    known = {} if held is None else _names_by_path(held)
    if given is not None:
        brought = _as_known(read_manifest(given, folder, known), held, known)
    elif folder is not None:
        brought = _as_known(manifest_from_folder(folder, known, on_note), held, known)
    else:
        brought = read_manifest(existing)
    joined = brought if held is None else _joined(held, brought)
    check_no_leak(joined)
    return joined


def take_in_and_write(
    existing: Path, folder: Path | None, given: Path | None, on_note: Callable[[str], None]
) -> pd.DataFrame:
    """Join what is brought to the workspace's manifest, as `take_in` does, and write it.

    Processes that do so at once take turns, or what one of them takes in would be lost.
    """
    before, told = _content(existing), list[str]()
    table = take_in(existing, folder, given, told.append)
    existing.parent.mkdir(parents=True, exist_ok=True)
    with in_turn(existing.with_name(f".{existing.name}.lock")):
        if _content(existing) != before:
            told.clear()
            table = take_in(existing, folder, given, told.append)
        write_manifest(table, existing)
    for note in told:
        on_note(note)
    return table


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _names_by_path(table: pd.DataFrame) -> dict[str, str]:
    pairs = zip(table["path"], table["slide_id"], strict=True)
    return {path_key(Path(path)): slide_id for path, slide_id in pairs}


def _as_known(
    table: pd.DataFrame, held: pd.DataFrame | None, known: Mapping[str, str]
) -> pd.DataFrame:
    """Return the table with the slide_ids that slides have here, where they are spelt otherwise.

    One may have composed accents and the other not, or the suffix of the slide's file.
    """
    spelt = {} if held is None else {normalize("NFC", name): name for name in held["slide_id"]}
    names = []
    for slide_id, text in zip(table["slide_id"], table["path"], strict=True):
        here, composed = known.get(path_key(Path(text))), normalize("NFC", slide_id)
        is_meant = here and _bare(composed) in (_bare(here), _bare(Path(text).name))
        names.append(here if here and is_meant else spelt.get(composed, composed))
    named = table.assign(slide_id=names)
    refuse_twice(named)
    return named


def _bare(name: str) -> str:
    path = Path(normalize("NFC", name))
    return path.stem if has_slide_suffix(path.name) else path.name


def _joined(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    columns = [*old.columns, *(name for name in new.columns if name not in old)]
    before, brought = (table.set_index("slide_id", drop=False) for table in (old, new))
    before = before.reindex(columns=columns, fill_value="")
    brought = brought.reindex(columns=columns, fill_value="")
    filled = brought.where(brought != "", before.reindex(brought.index, fill_value=""))
    # the workspace's order first, then what is new
    order = [*before.index, *brought.index.difference(before.index, sort=False)]
    joined = pd.concat([before.drop(brought.index, errors="ignore"), filled]).loc[order]
    joined.attrs["source"] = old.attrs["source"]
    return joined.reset_index(drop=True)
