"""Patches of the tissue regions of a workspace: on a grid, or where a table says."""

from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsikd.cohort.columns import COLUMNS
from wsikd.cohort.manifest import read_manifest
from wsikd.data.copies import refuse_copies
from wsikd.data.patches.coverage import covered
from wsikd.data.patches.source import PatchSettings, PatchSource, Place
from wsikd.data.patches.table import PatchRow, read_patch_table
from wsikd.data.regions import RegionItem
from wsikd.errors import ManifestError, NothingUsableError, StoreError
from wsikd.geometry import Pixels, Size, format_magnification
from wsikd.hashing import digest
from wsikd.store import LevelRecord, RegionRecord, RegionStore
from wsikd.workspace import Workspace

Floats = NDArray[np.float64]

MAGNIFICATION = 10.0


class Cut(NamedTuple):
    """A patch of a region; left and top in pixels of the region at the patches' magnification."""

    slide_id: str
    region_id: str
    left: int
    top: int


class RegionPatches(PatchSource):
    """Patches of the regions that `wsikd prepare` stored.

    Without a table a grid is laid over each region from its top left corner, and a patch is kept
    where the tissue's outline covers enough of it. Patients, labels and splits are the slides',
    unless a table of patches states them. Slides that were not prepared are left out.

    Parameters
    ----------
    workspace : Workspace
        Holds the regions and their manifest.
    settings : PatchSettings
        Which patches.

    Attributes
    ----------
    cuts : tuple of Cut
        Where each item is cut.
    store : RegionStore
        Where from.

    Raises
    ------
    ManifestError
        If a table breaks a rule, or puts a patch where no region is.
    StoreError
        If the magnification or an outline is not in the store.
    NothingUsableError
        If there is no patch.
    """

    def __init__(self, workspace: Workspace, settings: PatchSettings) -> None:
        self.store, self.origin = RegionStore(workspace.store), str(workspace.store)
        self.size = Size(settings.patch, settings.patch)
        self.magnification = settings.mag or MAGNIFICATION
        slides = read_manifest(workspace.manifest)
        slides = slides[slides["slide_id"].isin(self.store.slide_ids())].sort_values("slide_id")
        found = list(
            self._on_grid(slides, settings)
            if settings.table is None
            else self._of_table(slides, settings)
        )
        if not found:
            raise NothingUsableError(
                f"{workspace.store}: no patch of {settings.patch} px at "
                f"{format_magnification(self.magnification)} with at least "
                f"{settings.tissue_fraction:.0%} tissue; lower --patch or --tissue-fraction"
            )
        self.cuts = tuple(cut for cut, _ in found)
        rows = [row for _, row in found]
        self.table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=str).assign(path="")
        self.table.attrs["source"] = str(settings.table or workspace.manifest)
        refuse_copies(self.store, self.table)
        self.items = tuple(_item(cut, row) for cut, row in found)
        self.fingerprint = self._fingerprint()
        read = partial(self.store.read_pixels, magnification=self.magnification)
        self._read_region = lru_cache(maxsize=1)(read)

    def read(self, index: int) -> Pixels:
        """Cut a patch; its region is decoded once for all its patches that follow each other."""
        cut = self.cuts[index]
        pixels = self._read_region(cut.slide_id, cut.region_id)
        width, height = self.size
        return pixels[cut.top : cut.top + height, cut.left : cut.left + width]

    def contents(self) -> list[str]:
        """Return the hashes of the slides' files."""
        return [self.store.read_slide(cut.slide_id).source.sha256 for cut in self.cuts]

    def place(self, index: int) -> Place:
        """Tell where on its slide a patch lies."""
        cut = self.cuts[index]
        region, level = self.region(cut.slide_id, cut.region_id)
        mpp_x, mpp_y = self.store.read_slide(cut.slide_id).mpp
        return Place(
            cut.slide_id,
            region.x * mpp_x + cut.left * level.mpp[0],
            region.y * mpp_y + cut.top * level.mpp[1],
            self.size.width * level.mpp[0],
            self.size.height * level.mpp[1],
        )

    def region(self, slide_id: str, region_id: str) -> tuple[RegionRecord, LevelRecord]:
        """Return the record of a region, and of its level at the patches' magnification."""
        regions = self.store.read_slide(slide_id).regions
        (found,) = [region for region in regions if region.region_id == region_id]
        return found, found.level(self.magnification)

    def regions(self) -> list[tuple[str, str]]:
        """Name the regions that have patches, as (slide_id, region_id), in their order."""
        return list(dict.fromkeys((cut.slide_id, cut.region_id) for cut in self.cuts))

    def _on_grid(
        self, slides: pd.DataFrame, settings: PatchSettings
    ) -> Iterator[tuple[Cut, Mapping[Hashable, Any]]]:
        stride = settings.stride or settings.patch
        for row in slides.to_dict("records"):
            slide_id = row["slide_id"]
            regions = self.store.read_slide(slide_id).regions
            outlines = _outlines(self.store, slide_id)
            for region in regions:
                outline = outlines.get(region.region_id)
                if outline is None:
                    raise StoreError(
                        f"{self.store.path / slide_id}: tissue.geojson has no outline of "
                        f"{region.region_id}; remove the folder and prepare the slide again"
                    )
                level = region.level(self.magnification)
                corners = _grid(Size(level.width, level.height), settings.patch, stride)
                boxes = _level_0_boxes(corners, settings.patch, region, level)
                kept = corners[covered(outline, boxes) >= settings.tissue_fraction]
                yield from (
                    (Cut(slide_id, region.region_id, int(left), int(top)), row)
                    for left, top in kept
                )

    def _of_table(
        self, slides: pd.DataFrame, settings: PatchSettings
    ) -> Iterator[tuple[Cut, Mapping[Hashable, Any]]]:
        assert settings.table is not None
        found: dict[Cut, PatchRow] = {}
        for row in read_patch_table(settings.table, slides):
            cut = self._cut_at(row, settings.table)
            if cut in found:
                raise ManifestError(
                    f"{settings.table}: rows {found[cut].number} and {row.number} are one patch of "
                    f"{row.slide_id}; take one out"
                )
            found[cut] = row
        # each region's patches follow each other, so that it is decoded once
        yield from ((cut, found[cut].known) for cut in sorted(found))

    def _cut_at(self, patch: PatchRow, source: Path) -> Cut:
        """Find the region that holds the whole patch, whose corner is in level-0 pixels."""
        for region in self.store.read_slide(patch.slide_id).regions:
            level = region.level(self.magnification)
            left = round((patch.x - region.x) * level.width / region.width)
            top = round((patch.y - region.y) * level.height / region.height)
            width, height = self.size
            if 0 <= left <= level.width - width and 0 <= top <= level.height - height:
                return Cut(patch.slide_id, region.region_id, left, top)
        raise ManifestError(
            f"{source}: patch of {self.size.width} px at x {patch.x:g}, y {patch.y:g} in row "
            f"{patch.number} is not inside a region of {patch.slide_id}; take it out, or prepare "
            "the slide with a larger --tissue.padding-um"
        )

    def _fingerprint(self) -> str:
        slides = sorted({cut.slide_id for cut in self.cuts})
        records = (self.store.read_slide(name).model_dump_json() for name in slides)
        cuts = ("\t".join(map(str, cut)) for cut in self.cuts)
        return digest([f"{self.magnification:g} {self.size}", *records, *cuts])


def _grid(size: Size, side: int, stride: int) -> NDArray[np.int64]:
    """Compute left and top of all squares that fit, row by row, shape (n, 2)."""
    left = np.arange(0, size.width - side + 1, stride)
    top = np.arange(0, size.height - side + 1, stride)
    return np.stack(np.meshgrid(left, top), axis=-1).reshape(-1, 2)


def _level_0_boxes(
    corners: NDArray[np.int64], side: int, region: RegionRecord, level: LevelRecord
) -> Floats:
    """Compute the squares in level-0 pixels of the slide, shape (n, 4)."""
    scale = np.array([region.width / level.width, region.height / level.height])
    first = np.array([region.x, region.y]) + corners * scale
    return np.concatenate([first, first + side * scale], axis=1)


def _outlines(store: RegionStore, slide_id: str) -> dict[str, Mapping[str, Any]]:
    features = store.read_outlines(slide_id)["features"]
    return {feature["properties"]["name"]: feature["geometry"] for feature in features}


def _item(cut: Cut, row: Mapping[Hashable, Any]) -> RegionItem:
    region_id = f"{cut.region_id}/x{cut.left}-y{cut.top}"
    return RegionItem(cut.slide_id, row["patient_id"], region_id, row["split"], row["label"])
