"""`log.jsonl`: one line an epoch, appended to; a line cut short by a crash costs that line only."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from wsikd.files import write_text

Entry = dict[str, Any]


def append_entry(path: Path, entry: Entry) -> None:
    """Append one line, on a line of its own."""
    cut_short = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * cut_short + _line(entry))


def read_entries(path: Path) -> list[Entry]:
    """Read the log, if there is one: of each epoch the last whole line."""
    if not path.exists():
        return []
    entries: dict[int, Entry] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            entry = json.loads(line)
            entries[entry["epoch"]] = entry
    return list(entries.values())


def drop_entries(path: Path, *, after: int) -> None:
    """Remove the epochs after this one, at once; a log without any stays as it is."""
    entries = read_entries(path)
    kept = [entry for entry in entries if entry["epoch"] <= after]
    if len(kept) < len(entries):
        write_text(path, "".join(map(_line, kept)))


def _line(entry: Entry) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"
