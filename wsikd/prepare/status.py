"""`status.csv`: what became of every slide."""

from typing import Literal

from pydantic import Field

from wsikd.config import Settings
from wsikd.status_table import REDO


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
