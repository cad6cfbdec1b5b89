"""`status.csv`: what became of every slide."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from wsikd.config import Settings
from wsikd.files import spelt
from wsikd.prepare.complete import KnownBy
from wsikd.status_table import REDO

_Text = Annotated[str, AfterValidator(spelt)]


class SlideStatus(Settings):
    """What became of one slide: a row of `status.csv`."""

    slide_id: str
    path: _Text
    status: Literal["done", "skipped", "failed", "busy"] = Field(
        description="busy, while another process prepares it, is told and not written down"
    )
    regions: int = 0
    magnifications: str = ""
    reader: str = ""
    mpp: float | None = None
    mpp_source: str = ""
    known_by: KnownBy = ""
    warnings: _Text = ""
    megapixels: float = Field(0.0, description="of level 0 in the boxes of its regions")
    seconds: float = 0.0
    peak_mib: int = Field(0, description="largest memory of the worker so far")
    error: _Text = ""

    @property
    def refused(self) -> bool:
        """Whether the slide is complete, but made otherwise than it was asked for now."""
        return self.status == "failed" and self.error.endswith(REDO)
