"""Writing files so that a reader sees the old one or the new one, never half of one."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it to `path`.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        # a write that fails does not say where, and the temporary name says nothing to the user
        if error.errno in _NO_ROOM or error.filename == str(temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(spelt(text), encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; NaN and infinity are refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def publish(folder: Path, final: Path) -> None:
    """Flush a folder to disk and give it its final name, in place of what was there."""
    for path in folder.rglob("*"):
        sync(path)
    if final.exists():
        shutil.rmtree(final)
    folder.rename(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to disk; Windows flushes the entries by itself."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def spelt(text: str) -> str:
    r"""Return a text that UTF-8 can hold: a file's name may have bytes that no character is.

    Examples
    --------
    >>> print(spelt("M\udcfcller.svs"))
    M\udcfcller.svs
    """
    return text.encode(errors="backslashreplace").decode()
