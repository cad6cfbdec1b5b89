"""What a terminal, or whatever stands in its place, can show."""

import codecs
import io
import os
from collections.abc import Mapping
from typing import TextIO

_SIGNS = str.maketrans(
    {"µ": "u", "×": "x", "²": "2", "√": "sqrt ", "≥": ">=", "≤": "<=", "→": "->"}
)
_HANDLER = "wsikd.spelled"


def is_plain(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether lines, boxes and bars must be made of ASCII, or left out.

    That is so where NO_COLOR or TERM=dumb asks for it, in the locale C, and where the stream does
    not take every character. A locale that says UTF-8 is no reason, and Windows has none.

    Examples
    --------
    >>> import sys
    >>> is_plain(sys.stdout, {"TERM": "dumb"}), is_plain(sys.stdout, {"NO_COLOR": "1"})
    (True, True)
    """
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return True
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "C")
    return not takes_all(stream) or (os.name != "nt" and locale in ("C", "POSIX"))


def takes_all(stream: TextIO) -> bool:
    """Tell whether a stream can be written every character."""
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def spell_out(stream: TextIO) -> None:
    """Let a stream replace what it cannot take, such as µ by u, where it would raise."""
    if isinstance(stream, io.TextIOWrapper) and not takes_all(stream):
        codecs.register_error(_HANDLER, _spell)
        stream.reconfigure(errors=_HANDLER)


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end].translate(_SIGNS)
    return found.encode("ascii", "backslashreplace").decode("ascii"), error.end
