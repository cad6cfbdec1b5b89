"""Whether what is there of a slide is whole, and what would be made of the slide today."""

from pathlib import Path
from typing import Any, Literal

from wsikd.config import first_difference
from wsikd.errors import ResumeError
from wsikd.prepare.settings import with_new_settings
from wsikd.prepare.source import WholeHash, read_source
from wsikd.prepare.stamps import Seen, Stamps, stamp_folder
from wsikd.status_table import REDO
from wsikd.store import SlideRecord, find_changes, find_damage

KnownBy = Literal["", "content", "times", "ends"]
"""How a change of a slide's files is noticed: all content was hashed, or times of change are
compared (the disk was too slow to read all), or sizes and ends alone (of a slide that an older
version prepared, the first time that it is met again)."""


def find_harm(folder: Path, stamps: Stamps) -> str | None:
    """Tell what is wrong with a complete slide's folder; None if nothing is.

    Files that were not written to since are not read.

    Raises
    ------
    StoreError
        If its `slide.json` is of another format version, or breaks a rule of this one.
    """
    if stamps.folder and stamps.folder == stamp_folder(folder):
        return None
    changes = find_changes(folder)
    return find_damage(folder) or (changes[0] if changes else None)


def refuse_other_settings(folder: Path, record: SlideRecord, wanted: dict[str, Any]) -> None:
    """Raise `ResumeError` if a slide was prepared with other settings than are wanted now."""
    difference = first_difference(with_new_settings(record.settings), wanted)
    if difference is not None:
        key, before, now = difference
        raise ResumeError(
            f"{folder}: was prepared with {key} {_said(before)}, now asked for {_said(now)}; {REDO}"
        )


def refuse_other_source(
    folder: Path, record: SlideRecord, path: Path, seen: Seen, stamps: Stamps
) -> KnownBy:
    """Raise `ResumeError` if a slide's files are not those it was prepared from.

    Returns
    -------
    {"content", "times", "ends"}
        By what they are known.
    """
    whole = record.source.whole
    known_by: KnownBy = "content" if whole else "times" if stamps.times else "ends"
    if stamps.source == seen.stamp:
        return known_by
    changed = ResumeError(f"{folder}: the slide {record.source.name} changed since; {REDO}")
    if read_source(path).sha256 != record.source.sha256:
        raise changed
    if whole:
        with WholeHash(seen.files) as hashing:
            if hashing.wait() != whole:
                raise changed
    elif known_by == "times" and stamps.times != seen.times:
        raise ResumeError(
            f"{folder}: the slide {record.source.name} may have changed since, as its files were "
            f"written to and their content was not hashed; {REDO}"
        )
    return known_by


def renew_stamps(folder: Path, seen: Seen, stamps: Stamps) -> Stamps:
    """Return the stamps of a slide and its folder, now that they are known to belong together."""
    of_folder = stamp_folder(folder)
    if stamps.source == seen.stamp:
        return stamps.model_copy(update={"folder": of_folder})
    if not (seen.is_settled() and seen.is_as_it_was()):
        return Stamps(folder=of_folder)
    return Stamps(source=seen.stamp, times=seen.times, folder=of_folder)


def _said(value: object) -> object:
    return "none" if value is None else value
