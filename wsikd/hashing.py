"""Fingerprints of files, folders and tables: the one place that hashes.

All are SHA-256 in hexadecimal. What is hashed decides what counts as the same: the whole of a small
file, both ends of a large one, or its ends and time of change where reading it would take too long.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

_MIB = 2**20


def text_digest(text: str) -> str:
    """Hash a text.

    Examples
    --------
    >>> text_digest("a")[:8]
    'ca978112'
    """
    return hashlib.sha256(text.encode()).hexdigest()


def digest(lines: Iterable[str]) -> str:
    """Hash lines of text.

    Examples
    --------
    >>> digest(["a", "b"])[:8]
    '911169dd'
    """
    found = hashlib.sha256()
    for line in lines:
        found.update(line.encode(errors="surrogateescape") + b"\n")  # as files may be called
    return found.hexdigest()


def bytes_digest(parts: Iterable[bytes]) -> str:
    """Hash bytes, one part after the other."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def file_digest(path: Path) -> str:
    """Hash the whole content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_fingerprint(path: Path, ends: int = 4096) -> str:
    """Hash a file's size, time of change and both ends: quick, and different once it is edited."""
    stat = path.stat()
    return bytes_digest([f"{stat.st_size} {stat.st_mtime_ns}".encode(), *_ends(path, ends)])


def source_fingerprint(path: Path) -> str:
    """Hash a file, or all files of a folder by their names and `file_fingerprint`."""
    if not path.is_dir():
        return file_fingerprint(path)
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return digest(f"{file.relative_to(path)} {file_fingerprint(file)}" for file in files)


def content_fingerprint(path: Path) -> str:
    """Hash a file's size and both ends, whatever it is called and whenever it was copied."""
    return files_fingerprint([path])


def files_fingerprint(paths: Sequence[Path]) -> str:
    """Hash the size, the first and the last MiB of every file, in the order given."""
    return bytes_digest(
        part for path in paths for part in (str(path.stat().st_size).encode(), *_ends(path, _MIB))
    )


def source_digest(path: Path) -> str:
    """Hash the whole of a file, or of all files of a folder: slow, but sure."""
    return digest(file_digest(file) for file in source_files(path))


def source_files(path: Path) -> list[Path]:
    """List the files that a slide is in: itself, or all of its folder."""
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def pixels_part(text: str) -> str:
    """Return what is equal for equal pixels: without how they were made, which slides state.

    Examples
    --------
    >>> pixels_part("1a2b3c4d:77ab"), pixels_part("77ab")
    ('77ab', '77ab')
    """
    return text.rpartition(":")[2]


def pixels_differ(one: str, other: str) -> bool:
    """Tell whether two slides surely differ: their pixels were made alike, and are not equal.

    Examples
    --------
    >>> pixels_differ("1a2b3c4d:77ab", "1a2b3c4d:9c0d"), pixels_differ("1a2b3c4d:77ab", "77ab")
    (True, False)
    """
    (made, _, pixels), (other_made, _, others) = one.rpartition(":"), other.rpartition(":")
    return made != "" and made == other_made and pixels != others


def _ends(path: Path, length: int) -> tuple[bytes, bytes]:
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(length)
        file.seek(max(0, size - length))
        return first, file.read(length)
