"""A CSV with one row for each thing a command attempts, so that every outcome is written down."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import pandas as pd

from wsikd.config import Settings
from wsikd.files import clear_up, replacing
from wsikd.locks import in_turn

REDO = "redo it with --overwrite"
"""How the error of a row ends that is complete, but made otherwise than it was asked for now."""

Row = TypeVar("Row", bound=Settings)


class StatusTable(Generic[Row]):
    """Rows in a CSV, replaced as a whole; rows of other calls are kept.

    Several processes may write to one file: each reads it anew before it writes and changes no rows
    but those that it took or dropped itself since.

    Parameters
    ----------
    path : Path
        The file. One that is no such table is set aside, and the table begun anew.
    kind : type of Settings
        Of the rows; its fields are the columns.
    key : sequence of str
        Columns of text that tell rows apart and order them.
    holds : str
        What the rows are, for the warning.
    seconds : float
        At least between two writes; what is not written yet is by `write`. 0 writes every change.

    Attributes
    ----------
    warning : str
        Tells that what was there was set aside; empty if it was not.
    """

    def __init__(
        self,
        path: Path,
        kind: type[Row],
        key: Sequence[str],
        *,
        holds: str,
        seconds: float = 0.0,
    ) -> None:
        self.path, self.warning = path, ""
        self._kind, self._key, self._seconds = kind, tuple(key), seconds
        self._holds = holds
        self._changes: dict[tuple[str, ...], Row | None] = {}  # since the last write
        self._rows = self._read_file() or {}
        self._written = time.monotonic()

    @property
    def rows(self) -> list[Row]:
        """The rows, by key."""
        return [self._rows[key] for key in sorted(self._rows)]

    def get(self, *key: str) -> Row | None:
        """Return the row of a key; None if there is none."""
        return self._rows.get(key)

    def put(self, row: Row) -> None:
        """Take a row, in place of the one of its key."""
        key = self._key_of(row)
        self._rows[key] = self._changes[key] = row
        self._changed()

    def drop(self, *key: str) -> None:
        """Leave out the row of a key, if there is one."""
        if self._rows.pop(key, None) is not None:
            self._changes[key] = None
            self._changed()

    def write(self) -> None:
        """Write all rows, those that other processes wrote meanwhile among them."""
        with in_turn(self.path.with_name(f".{self.path.name}.lock")):
            clear_up(self.path.parent, self.path.name)
            self._take_in()
            columns = list(self._kind.model_fields)
            rows = [row.model_dump(mode="json") for row in self.rows]
            with replacing(self.path) as temporary:
                # as objects, since whole numbers beside unknown ones would become fractions
                pd.DataFrame(rows, columns=columns, dtype=object).to_csv(temporary, index=False)
        self._changes.clear()
        self._written = time.monotonic()

    def _take_in(self) -> None:
        """Begin with what the file has now, and repeat what was changed here since."""
        found = self._read_file()
        if found is None:
            return
        self._rows = found
        for key, row in self._changes.items():
            if row is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = row

    def _read_file(self) -> dict[tuple[str, ...], Row] | None:
        """Read the rows of the file; None if there are none, or it is damaged and set aside."""
        path = self.path
        if not path.exists() or not path.stat().st_size:  # empty: a crash of the machine
            return None
        try:
            return {self._key_of(row): row for row in read_rows(path, self._kind, self._key)}
        except ValueError:  # pandas' and pydantic's own, and text that is no UTF-8
            aside = path.with_name(f"{path.name}.damaged")
            path.replace(aside)
            self.warning = (
                f"{path}: must be a table of {self._holds}; "
                f"begun anew, what was there is in {aside}"
            )
            return None

    def _changed(self) -> None:
        if time.monotonic() - self._written >= self._seconds:
            self.write()

    def _key_of(self, row: Row) -> tuple[str, ...]:
        return tuple(getattr(row, name) for name in self._key)


def read_rows(path: Path, kind: type[Row], key: tuple[str, ...]) -> list[Row]:
    """Read the rows of such a table.

    Raises
    ------
    ValueError
        If it is damaged, or no such table.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    cut_short = not path.read_bytes().endswith(b"\n") or table.isna().any(axis=None)
    if cut_short or not set(key) <= set(table):
        raise ValueError("a line or a column is missing")
    fields = kind.model_fields
    known = [name for name in fields if name in table]
    return [
        kind(**{name: row[name] for name in known if row[name] or fields[name].is_required()})
        for row in table.to_dict("records")
    ]
