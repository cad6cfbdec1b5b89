"""What `slide.json` holds: a slide, its regions and their magnifications."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from wsikd.config import Settings, load_document
from wsikd.errors import StoreError
from wsikd.files import spelt
from wsikd.geometry import format_magnification
from wsikd.store.archives import SUFFIX

THUMBNAIL_SIDE = 1024
"""Sides of a slide's thumbnail have at most about so many pixels."""

PICTURE_VERSION: Literal[2] = 2
"""Version of the `slide.json` of a picture that is stored as one file."""


def _is_empty(value: object) -> bool:
    """Whether a field says nothing: left out, so that records are as those of older versions."""
    return not value


class LevelRecord(Settings):
    """One magnification of a region on disk."""

    magnification: float
    path: str = Field(description="of the array inside the region's OME-Zarr")
    width: int
    height: int
    mpp: tuple[float, float] = Field(description="true µm per pixel along x and y")


class RegionRecord(Settings):
    """One tissue region on disk; x, y, width, height are its box in level-0 pixels."""

    region_id: str
    x: int
    y: int
    width: int
    height: int
    area_um2: float = Field(description="of the tissue inside the outline")
    levels: tuple[LevelRecord, ...]
    damaged_share: float = Field(
        0.0,
        exclude_if=_is_empty,
        description="of the box that is white, as the slide's tiles there are damaged",
    )

    def level(self, magnification: float) -> LevelRecord:
        """Return one magnification of the region.

        Raises
        ------
        StoreError
            If it was not prepared; the message names those that were.
        """
        for level in self.levels:
            if level.magnification == magnification:
                return level
        have = ", ".join(format_magnification(level.magnification) for level in self.levels)
        raise StoreError(
            f"{self.region_id}: {format_magnification(magnification)} was not prepared, only "
            f"{have}; choose one of those or prepare it with --pyramid.magnifications"
        )


class Source(Settings):
    """The slide file a region came from; its name only, never its path."""

    name: Annotated[str, AfterValidator(spelt)]
    bytes: int
    sha256: str = Field(description="of the size and of the first and last MiB of every file")
    whole: str | None = Field(
        None,
        exclude=True,  # as `pixels` below
        description="hash of all content, companion files included; None: not recorded",
    )


class DamageRecord(Settings):
    """A tile of the slide that cannot be decoded; its box is in level-0 pixels."""

    level: int = Field(description="of the slide's file; above 0 it hid where tissue is")
    x: int
    y: int
    width: int
    height: int
    reason: str


class SlideRecord(Settings):
    """`slide.json`, the marker that a slide is complete."""

    format: Literal["wsikd-regions"] = "wsikd-regions"
    version: Literal[1, 2] = Field(
        1, description="1: each region is a folder; 2: a picture, whose one region is one file"
    )
    slide_id: str
    settings: dict[str, Any] = Field(description="resolved settings of prepare")
    source: Source
    slide_format: str
    reader: str
    reader_version: str
    width: int = Field(description="of level 0, in pixels")
    height: int
    mpp: tuple[float, float] = Field(description="µm per level-0 pixel along x and y")
    mpp_source: str
    objective_power: float | None
    warnings: tuple[str, ...]
    regions: tuple[RegionRecord, ...]
    damaged: tuple[DamageRecord, ...] = Field(
        (), exclude_if=_is_empty, description="tiles that were read as white"
    )
    pixels: str | None = Field(
        None,
        exclude=True,  # so that what is keyed by a dumped record is found that older ones keyed
        description="hash of all regions at the coarsest level; None: not recorded",
    )

    @property
    def is_picture(self) -> bool:
        """Whether its one region is the whole of it, in one file."""
        return self.version == PICTURE_VERSION

    def image_name(self, region_id: str) -> str:
        """Return the name of a region's image in the slide's folder."""
        return f"{region_id}{SUFFIX if self.is_picture else '.ome.zarr'}"

    def document(self, *, pixels: str) -> dict[str, Any]:
        """Return all that `slide.json` holds, what a dump leaves out included."""
        dumped = self.model_dump(mode="json")
        if self.source.whole is not None:
            dumped["source"]["whole"] = self.source.whole
        return dumped | {"pixels": pixels}


def read_record(folder: Path) -> SlideRecord:
    """Read the `slide.json` of a slide's folder.

    Raises
    ------
    StoreError
        If it is missing, damaged or of another format version.
    """
    path, remedy = folder / "slide.json", "prepare the slide with `wsikd prepare`"
    if path.exists():  # prepare takes a slide that has one for finished
        remedy = f"remove {folder} and prepare it again"
    return load_document(path, SlideRecord, StoreError, remedy)
