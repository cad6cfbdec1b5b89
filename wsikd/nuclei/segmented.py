"""`segmented.csv`: what became of every field, and how many nuclei it has."""

from pathlib import Path
from typing import Literal

from wsikd.config import Settings
from wsikd.status_table import REDO, StatusTable


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

    @property
    def refused(self) -> bool:
        """Whether the field is complete, but made otherwise than it was asked for now."""
        return self.status == "failed" and self.error.endswith(REDO)


class SegmentedTable(StatusTable[FieldStatus]):
    """`segmented.csv`, written after each change; rows of other slides are kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, FieldStatus, ("slide_id", "region_id"), holds="fields")

    def is_done(self, slide_id: str, region_id: str) -> bool:
        """Tell whether a field was finished."""
        row = self.get(slide_id, region_id)
        return row is not None and row.status == "done"

    def put(self, row: FieldStatus) -> None:
        """Take a row in place of the one of that field; one with a region ends that without.

        A row without a region is not taken beside finished ones of its slide.
        """
        of_regions = any(one.slide_id == row.slide_id and one.region_id for one in self.rows)
        if not row.region_id and of_regions:
            return  # the slide cannot be opened now, and what was made of it stays
        if row.region_id:
            self.drop(row.slide_id, "")
        super().put(row)
