"""Checksums of a slide's folder, by which damage after the fact is found."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wsikd.files import write_text
from wsikd.hashing import file_digest

CHECKSUMS = "checksums.sha256"
"""Name of the file; its lines are those of the program sha256sum, which can check it, too."""

_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^/].*)")
_THREADS = 4


def write_checksums(folder: Path) -> None:
    """Write the checksums of all files of a folder, `checksums.sha256`, into it."""
    names = list_contents(folder)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = zip(pool.map(lambda name: file_digest(folder / name), names), names, strict=True)
        lines = [f"{digest}  {name}\n" for digest, name in found]
    write_text(folder / CHECKSUMS, "".join(lines))


def find_changes(folder: Path) -> list[str] | None:
    """Hold the files of a folder against their checksums.

    Returns
    -------
    list of str, or None
        What is wrong, in words, by name of the file; None if there are no checksums, as older
        versions wrote none.
    """
    path = folder / CHECKSUMS
    if not path.exists():
        return None
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    parsed = [_LINE.fullmatch(line) for line in lines]
    if not lines or None in parsed:
        return [f"{CHECKSUMS} is damaged itself"]
    expected = {match["name"]: match["digest"] for match in parsed if match is not None}
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda name: _look_at(folder / name, expected[name]), expected)
        return [f"{name} {wrong}" for name, wrong in zip(expected, found, strict=True) if wrong]


def list_contents(folder: Path) -> list[str]:
    """List the files of a slide's folder, without its checksums, by their names in it."""
    return sorted(name for name in _names(folder) if name != CHECKSUMS)


def _names(folder: Path) -> Iterator[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return (path.relative_to(folder).as_posix() for path in paths)


def _look_at(path: Path, expected: str) -> str:
    """Tell what is wrong with a file; empty if nothing is."""
    try:
        return "" if file_digest(path) == expected else "is not as it was written"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:  # such as a bad block of the disk
        return f"cannot be read ({error.strerror})"
