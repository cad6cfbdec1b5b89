"""Writing files so that a reader sees the old one or the new one, never half of one.

And what the system says where that fails, in words that help.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE = (*_NO_ROOM, errno.EROFS, errno.EFBIG)
_NO_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_NO_FOLDER_FLUSH = (*_NO_FLUSH, errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM)

_REMEDIES = {
    errno.EACCES: "allow it with chmod, or choose another folder",
    errno.EPERM: "allow it with chmod, or choose another folder",
    errno.EEXIST: "a folder is needed there; choose another",
    errno.ENOTDIR: "a folder is needed there; choose another",
    errno.EROFS: "choose a folder that can be written",
    errno.ENOSPC: "make room and run the same command to go on",
    errno.EDQUOT: "make room and run the same command to go on",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or choose another disk",
}


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


def clear_up(folder: Path, name: str = "*") -> None:
    """Remove what `replacing` left of files in a folder when processes were killed in it.

    To be called by who alone may write there.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".note.txt.17.partial").touch()
    >>> clear_up(folder, "note.txt")
    >>> list(folder.iterdir())
    []
    """
    for left in folder.glob(f".{name}.*.partial"):
        left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(spelt(text), encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; NaN and infinity are refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def explain_file(error: OSError, path: Path | None = None) -> str:
    """Tell in one line what the system refused, and what to do about it.

    Parameters
    ----------
    error : OSError
        Names its file, unless `path` does.
    path : Path, optional
        What could not be used, where the error does not say it.

    Examples
    --------
    >>> explain_file(OSError(errno.ENOSPC, "No space left on device"), Path("regions"))
    'regions: no space left on device; make room and run the same command to go on'
    """
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    remedy = _REMEDIES.get(error.errno or 0, "see that it is there and can be used")
    return f"{error.filename if path is None else path}: {reason}; {remedy}"


def is_unwritable(error: OSError, folder: Path) -> bool:
    """Tell whether an error says that nothing more can be written to a folder, whatever it is.

    The disk is full, read-only or refuses what lies in the folder; a disk that refuses a file that
    is read, such as a slide, is none of these.
    """
    if error.errno in _UNWRITABLE:
        return True
    named = error.filename
    is_inside = isinstance(named, str) and Path(named).absolute().is_relative_to(folder.absolute())
    return is_inside and error.errno in (errno.EACCES, errno.EPERM)


def publish(folder: Path, final: Path) -> None:
    """Flush a folder to disk and give it its final name, in place of what was there."""
    for path in folder.rglob("*"):
        sync(path)
    if final.exists():
        shutil.rmtree(final)
    folder.rename(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to disk; Windows flushes the entries by itself.

    A file system that cannot do it, as some network and user-space ones, is left to its own ways:
    then a power cut can cost what was written last, and nothing else is lost by going on.
    """
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in (_NO_FOLDER_FLUSH if is_folder else _NO_FLUSH):
            raise


def spelt(text: str) -> str:
    r"""Return a text that UTF-8 can hold: a file's name may have bytes that no character is.

    Examples
    --------
    >>> print(spelt("M\udcfcller.svs"))
    M\udcfcller.svs
    """
    return text.encode(errors="backslashreplace").decode()
