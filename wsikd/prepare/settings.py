"""How slides are turned into regions."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from wsikd.config import Settings, with_defaults
from wsikd.pyramid.levels import PyramidSettings
from wsikd.slides import ReaderName
from wsikd.slides.resolution import PLAUSIBLE_MPP
from wsikd.store import NgffVersion
from wsikd.tissue import TissueSettings


class SlideSettings(Settings):
    """How one slide is turned into regions."""

    tissue: TissueSettings = TissueSettings()
    pyramid: PyramidSettings = PyramidSettings()
    ngff: NgffVersion = Field("0.5", description="version of OME-Zarr that is written")
    reader: ReaderName | None = Field(None, description="force a slide reader")
    mpp: float | None = Field(
        None,
        ge=PLAUSIBLE_MPP[0],
        le=PLAUSIBLE_MPP[1],
        description="µm per pixel of every slide, where files state none or a wrong one; "
        "a manifest's column mpp goes before it",
    )


class PrepareSettings(SlideSettings):
    """How slides are turned into regions, and how many at once."""

    workers: int | None = Field(
        None,
        ge=0,
        le=1024,
        description="slides prepared at once; unset: one per core, 0: one in this process",
    )
    scheduler: str | None = Field(None, description="address of a dask scheduler to use instead")
    max_damaged: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the regions' area that may be white where tiles are damaged",
    )
    shard: str | None = Field(
        None,
        description="i/n, prepare the i-th of n shares of the slides, such as 3/20 in a job array",
    )
    overwrite: bool = Field(
        False, description="redo slides that were prepared with other settings or have changed"
    )

    @property
    def makes_pictures(self) -> bool:
        """Whether slides are pictures that are taken whole, those of moderate size as one file."""
        return self.tissue.method == "whole" and self.ngff == "0.5"

    @field_validator("shard")
    @classmethod
    def _check_shard(cls, shard: str | None) -> str | None:
        index, _, count = (shard or "1/1").partition("/")
        is_share = index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)
        if not is_share:
            raise ValueError(f"must be i/n with i from 1 to n, got {shard!r}")
        return shard

    def of_slide(
        self, mpp: float | None, objective_power: float | None, mask: str | None = None
    ) -> dict[str, Any]:
        """Return what decides the content of a slide's folder; `mask` is the digest of its mask."""
        chosen = self.model_dump(mode="json", include={"tissue", "pyramid", "ngff", "reader"})
        made = {**chosen, "mpp": mpp, "objective_power": objective_power}
        return made if mask is None else {**made, "mask": mask}


def with_new_settings(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the settings that a slide's record lacks, as they were declared after it was made.

    They count as their defaults, so that slides of an older version stay as they are.
    """
    tissue = with_defaults(recorded.get("tissue", {}), TissueSettings)
    pyramid = with_defaults(recorded.get("pyramid", {}), PyramidSettings)
    return {**recorded, "tissue": tissue, "pyramid": pyramid}
