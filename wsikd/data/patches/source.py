"""What a source of patches is: square images of one size, each with what is known of it."""

import abc
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pydantic import Field

from wsikd.config import Settings
from wsikd.data.patches.pack import pack_view
from wsikd.data.regions import RegionItem
from wsikd.geometry import Pixels, Size


class PatchSettings(Settings):
    """Where patches come from, and which."""

    images: Path | None = Field(
        None, description="folder of images, by class or flat; unset: the workspace's regions"
    )
    test_images: Path | None = Field(
        None, description="folder of images for testing only, laid out as --images"
    )
    table: Path | None = Field(
        None, description="CSV of the images, with path; or of patches, with slide_id, x and y"
    )
    patch: int = Field(224, ge=1, description="side of a patch of the regions, in pixels")
    mag: float | None = Field(
        None, gt=0, description="magnification; unset: 10x of the regions; to be stated of images"
    )
    tissue_fraction: float = Field(
        0.5, ge=0, le=1, description="share of a patch that is tissue, at least"
    )
    stride: int | None = Field(
        None, ge=1, description="pixels from patch to patch; unset: --patch, side by side"
    )


class Place(NamedTuple):
    """Where a patch lies on its slide, in µm from the slide's top left corner at level 0."""

    slide_id: str
    x_um: float
    y_um: float
    width_um: float
    height_um: float


class PatchSource(abc.ABC):
    """Patches of one size, in a fixed order.

    Attributes
    ----------
    items : tuple of RegionItem
        Who each patch is.
    table : DataFrame
        A manifest with one row per item, in their order; a slide has as many rows as patches. The
        path of a patch of a region is empty. A column `traced`, if there is one, tells by "no"
        that the name of an image stands in for a patient whom nobody knows.
    size : Size
        Of every patch, in pixels.
    magnification : float
        Of every patch, nominal.
    fingerprint : str
        Hash of what `read` returns; neither labels nor splits enter it.
    origin : str
        Where the patches are from, for messages.
    """

    items: tuple[RegionItem, ...]
    table: pd.DataFrame
    size: Size
    magnification: float
    fingerprint: str
    origin: str

    @abc.abstractmethod
    def read(self, index: int) -> Pixels:
        """Read a patch; fastest in the order of the items.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            RGB.
        """

    def contents(self) -> list[str]:
        """Hash the file that each patch is from, as `slide.json` does; empty if there is none."""
        return [""] * len(self.items)

    @abc.abstractmethod
    def place(self, index: int) -> Place | None:
        """Tell where on its slide a patch lies; None for images without a slide."""

    def name(self, index: int) -> str:
        """Name a patch, for messages and digests.

        The name differs from that of every other patch.
        """
        item = self.items[index]
        return f"{item.slide_id}/{item.region_id}"

    def pack(self, cache: Path) -> Pixels:
        """Return all patches, decoded once and kept on disk under `cache`.

        Returns
        -------
        ndarray of uint8, shape (patches, height, width, 3)
            Mapped from disk, read-only.
        """
        return pack_view("patches", self.fingerprint, self.read, len(self.items), self.size, cache)
