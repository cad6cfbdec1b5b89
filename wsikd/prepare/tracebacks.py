"""What a bug leaves of one slide: a line for its row, and the traceback in a file."""

import traceback
from contextlib import suppress
from pathlib import Path

from wsikd.files import write_text

_MOST = 200  # characters of an exception's own text in a row


def keep_traceback(store: Path, slide_id: str, error: BaseException) -> str:
    """Write an exception's traceback to a file, and tell in one line what and where it is."""
    path = traceback_path(store, slide_id)
    if isinstance(error, MemoryError):
        told = "memory ran out; prepare fewer slides at once with --workers"
    else:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        told = f"a bug, {words[:_MOST]}; try another --reader, and report it"
    try:
        write_text(path, "".join(traceback.format_exception(error)))
    except OSError:  # the row matters more
        return told
    return f"{told} with {path}"


def drop_traceback(store: Path, slide_id: str) -> None:
    """Remove the traceback of an earlier attempt, if there is one."""
    with suppress(OSError):
        traceback_path(store, slide_id).unlink(missing_ok=True)


def traceback_path(store: Path, slide_id: str) -> Path:
    """Return where the traceback of a slide is kept."""
    return store / ".tracebacks" / f"{slide_id}.txt"
