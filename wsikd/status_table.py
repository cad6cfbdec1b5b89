"""A CSV with one row for each thing a command attempts, so that every outcome is written down."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import pandas as pd

from wsikd.config import Settings
from wsikd.files import replacing

REDO = "redo it with --overwrite"
"""How the error of a row ends that is complete, but made otherwise than it was asked for now."""

Row = TypeVar("Row", bound=Settings)


class StatusTable(Generic[Row]):
    """Rows in a CSV, replaced as a whole; rows of other calls are kept.

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
        self._rows: dict[tuple[str, ...], Row] = {}
        if path.exists() and path.stat().st_size:  # empty: a crash of the machine, begun anew
            try:
                self._rows = {self._key_of(row): row for row in _read(path, kind, self._key)}
            except ValueError:  # pandas' and pydantic's own, and text that is no UTF-8
                aside = path.with_name(f"{path.name}.damaged")
                path.replace(aside)
                self.warning = (
                    f"{path}: must be a table of {holds}; begun anew, what was there is in {aside}"
                )
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
        self._rows[self._key_of(row)] = row
        self._changed()

    def drop(self, *key: str) -> None:
        """Leave out the row of a key, if there is one."""
        if self._rows.pop(key, None) is not None:
            self._changed()

    def write(self) -> None:
        """Write all rows."""
        columns = list(self._kind.model_fields)
        rows = [row.model_dump(mode="json") for row in self.rows]
        with replacing(self.path) as temporary:
            # as objects, since whole numbers beside unknown ones would become fractions
            pd.DataFrame(rows, columns=columns, dtype=object).to_csv(temporary, index=False)
        self._written = time.monotonic()

    def _changed(self) -> None:
        if time.monotonic() - self._written >= self._seconds:
            self.write()

    def _key_of(self, row: Row) -> tuple[str, ...]:
        return tuple(getattr(row, name) for name in self._key)


def _read(path: Path, kind: type[Row], key: tuple[str, ...]) -> list[Row]:
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
