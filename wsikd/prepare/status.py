"""`status.csv`: what became of every slide."""

import time
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from wsikd.config import Settings
from wsikd.files import replacing

REDO = "redo it with --overwrite"


class SlideStatus(Settings):
    """What became of one slide: a row of `status.csv`."""

    slide_id: str
    path: str
    status: Literal["done", "skipped", "failed"]
    regions: int = 0
    magnifications: str = ""
    reader: str = ""
    mpp: float | None = None
    mpp_source: str = ""
    warnings: str = ""
    seconds: float = 0.0
    peak_mib: int = Field(0, description="largest memory of the worker so far")
    error: str = ""

    @property
    def refused(self) -> bool:
        """Whether the slide is complete, but made otherwise than it was asked for now."""
        return self.status == "failed" and self.error.endswith(REDO)


class StatusTable:
    """`status.csv`, written now and then, rows of slides outside this batch kept.

    Attributes
    ----------
    warning : str
        Says that what was there is no such table and was set aside; empty if it was not.
    """

    _SECONDS_BETWEEN_WRITES = 5

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self.warning = ""
        if path.exists() and path.stat().st_size:  # empty: a crash of the machine, begun anew
            try:
                self.rows = _read_rows(path)
            except ValueError:  # pandas' own, and text that is no UTF-8
                aside = path.with_name(f"{path.name}.damaged")
                path.replace(aside)
                self.warning = (
                    f"{path}: must be a table of outcomes; begun anew, what was there is in {aside}"
                )
        self.written = time.monotonic()

    def add(self, status: SlideStatus) -> None:
        self.rows[status.slide_id] = status.model_dump(mode="json")
        if time.monotonic() - self.written > self._SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        columns = list(SlideStatus.model_fields)
        rows = [self.rows[slide_id] for slide_id in sorted(self.rows)]
        with replacing(self.path) as temporary:
            pd.DataFrame(rows, columns=columns).to_csv(temporary, index=False)
        self.written = time.monotonic()


def _read_rows(path: Path) -> dict[str, dict[str, Any]]:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    cut_short = not path.read_bytes().endswith(b"\n") or table.isna().any(axis=None)
    if cut_short or "slide_id" not in table:
        raise ValueError("a line or a column is missing")
    return {str(row["slide_id"]): dict(row) for _, row in table.iterrows()}
