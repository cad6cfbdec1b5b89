"""`segmented.csv`: what became of every field, and how many nuclei it has."""

from pathlib import Path
from typing import Any, Literal

import pandas as pd

from wsikd.config import Settings
from wsikd.files import replacing


class FieldStatus(Settings):
    """What became of one field: a row of `segmented.csv`.

    Lengths are in `unit`; what is not known is empty. A slide that could not be opened has one row,
    without a region.
    """

    slide_id: str
    region_id: str = ""
    width: int | None = None
    height: int | None = None
    mpp: float | None = None
    unit: Literal["", "µm", "px"] = ""
    threshold: float | None = None
    nuclei: int | None = None
    median_diameter: float | None = None
    nuclear_fraction: float | None = None
    seconds: float = 0.0
    warning: str = ""
    status: Literal["done", "failed"]
    error: str = ""


class SegmentedTable:
    """`segmented.csv`, written whole after each change; rows of other slides are kept.

    Attributes
    ----------
    warning : str
        Says that what was there is no such table and was set aside; empty if it was not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warning = ""
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        if path.exists():
            try:
                self._rows = _read_rows(path)
            except ValueError:  # pandas' own, and text that is no UTF-8
                aside = path.with_name(f"{path.name}.damaged")
                path.replace(aside)
                self.warning = (
                    f"{path}: must be a table of fields; begun anew, what was there is in {aside}"
                )

    def is_done(self, slide_id: str, region_id: str) -> bool:
        """Say whether a field was finished."""
        return self._rows.get((slide_id, region_id), {}).get("status") == "done"

    def put(self, status: FieldStatus) -> None:
        """Write a row in place of the one of that field; one with a region ends that without.

        A row without a region is not written beside finished ones of its slide.
        """
        others = any(slide_id == status.slide_id and region for slide_id, region in self._rows)
        if not status.region_id and others:
            return  # the slide cannot be opened now, and what was made of it stays
        self._rows.pop((status.slide_id, ""), None)
        self._rows[status.slide_id, status.region_id] = status.model_dump(mode="json")
        self._write()

    def drop(self, slide_id: str, region_id: str) -> None:
        """Leave out a field that is about to be segmented again."""
        if self._rows.pop((slide_id, region_id), None) is not None:
            self._write()

    def _write(self) -> None:
        rows = [self._rows[key] for key in sorted(self._rows)]
        with replacing(self.path) as temporary:
            pd.DataFrame(rows, columns=list(FieldStatus.model_fields), dtype=object).to_csv(
                temporary, index=False
            )


def _read_rows(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = set(FieldStatus.model_fields) - set(table)
    if missing or not path.read_bytes().endswith(b"\n") or table.isna().any(axis=None):
        raise ValueError("a line or a column is missing")
    return {(row["slide_id"], row["region_id"]): dict(row) for _, row in table.iterrows()}
