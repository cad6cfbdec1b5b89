r"""Where the files are that a table names, and how a table names them.

A name that a cell cannot hold is written with `\x20` for a blank at its end and the like, `\udc..`
for a byte that is no UTF-8.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from wsikd.cohort.naming import safe_id

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff]|^\s+|\s+$")
_WRITTEN = re.compile(r"\\x([0-9a-f]{2})|\\u((?!d[89a-f])[0-9a-f]{4}|dc[89a-f][0-9a-f])")
_Alike = Callable[[Path], dict[str, list[str]]]


def written(path: str) -> str:
    r"""Return a path as a cell of a table can hold it.

    Examples
    --------
    >>> print(written("in/S 1.svs "), written("M\udcfcller.svs"))
    in/S 1.svs\x20 M\udcfcller.svs
    """
    return _UNFIT.sub(lambda found: "".join(map(_escape, found[0])), path)


def find_files(texts: Sequence[str], near: Path, folder: Path | None) -> list[str]:
    """Find the files that the cells of a table name; absolute paths, empty where a cell is.

    Parameters
    ----------
    texts : sequence of str
        Cells. Where there is no such file, its name may be written as `written` does, as Windows
        writes paths, with other blanks or accents, or below a folder that has moved.
    near : Path
        The table's folder, which paths are relative to.
    folder : Path or None
        In which files that have moved are looked for.

    Returns
    -------
    list of str
        A file that is not found is where the cell says.
    """
    alike = cache(_names_alike)
    return [_find(text, near.absolute(), folder, alike) if text else "" for text in texts]


def _find(text: str, near: Path, folder: Path | None, alike: _Alike) -> str:
    stated = near / text
    if os.path.exists(stated):  # noqa: PTH110  pathlib raises where a path is too long
        return str(stated)
    places = [stated, *_other_places(text, near, folder)]
    for place in places:
        if os.path.exists(place):  # noqa: PTH110
            return str(place)
    for place in places:
        names = alike(place.parent).get(safe_id(place.name), [])
        if len(names) == 1:
            return str(place.with_name(names[0]))
    return str(stated)


def _other_places(text: str, near: Path, folder: Path | None) -> Iterator[Path]:
    """Yield where a file may be that is not where the text says, what is nearest to it first."""
    unescaped = _WRITTEN.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
    if unescaped != text:
        yield near / unescaped
    is_windows = "\\" in text
    parts = (PureWindowsPath if is_windows else PurePosixPath)(text).parts
    if is_windows:
        yield near.joinpath(*parts)
    if folder is not None or is_windows:
        relative = [part for part in parts if not part.endswith(("\\", "/")) and part != ".."]
        for start in range(len(relative)):
            yield (folder or near).absolute().joinpath(*relative[start:])


def _names_alike(folder: Path) -> dict[str, list[str]]:
    """Return the names in a folder by how they look."""
    found: dict[str, list[str]] = {}
    try:
        for path in folder.iterdir():
            found.setdefault(safe_id(path.name), []).append(path.name)
    except OSError:
        return {}
    return found


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
