"""What a terminal, or whatever stands in its place, can show."""

import codecs
import io
import os
from collections.abc import Mapping
from typing import TextIO

_SIGNS = str.maketrans(
    {"µ": "u", "×": "x", "²": "2", "√": "sqrt ", "≥": ">=", "≤": "<=", "→": "->"}
    | {"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "…": "...", "·": "."}
    | {"\N{NO-BREAK SPACE}": " ", "“": '"', "”": '"', "\N{RIGHT SINGLE QUOTATION MARK}": "'"}
)
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
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
    return not takes_all(stream) or (os.name != "nt" and _is_c(environment))


def _is_c(environment: Mapping[str, str]) -> bool:
    """Tell whether the locale is C, as it is where nothing names another."""
    names = ["LC_ALL", "LC_CTYPE", "LANG"]
    # In the locale C, Python writes a LC_CTYPE of its own into the environment (PEP 538), which
    # looks as if the user had set it. So it counts for nothing where it has such a value. Who set
    # it on purpose, with LANG unset or C, loses the boxes alone, and LC_ALL brings them back.
    if environment.get("LC_CTYPE") in _COERCED:
        names.remove("LC_CTYPE")
    locale = next((environment[name] for name in names if environment.get(name)), "C")
    return locale in ("C", "POSIX")


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
