"""Two registered images of the same tissue, such as H&E and immunofluorescence of one section."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsikd.cohort.listing import list_slides
from wsikd.cohort.naming import name_slides
from wsikd.data.pairs.affine import bounds, corners, sample
from wsikd.data.pairs.files import match_images, read_channels, refuse_lacking, refuse_other_size
from wsikd.data.pairs.partner import Partner
from wsikd.data.pairs.settings import PairingSettings
from wsikd.data.pairs.slides import FileSlide, PartnerSlide, StoreSlide
from wsikd.data.patches import PatchSource
from wsikd.data.patches.folders import FolderPatches, fingerprint_images
from wsikd.errors import ConfigError
from wsikd.geometry import Pixels
from wsikd.hashing import content_fingerprint
from wsikd.store import RegionStore


def open_modality(settings: PairingSettings, source: PatchSource) -> Partner:
    """Find the second modality: images of equal names, or registered slides.

    Raises
    ------
    ConfigError
        If the partner is not stated, not there, or not of the source's kind.
    ManifestError
        If images or slides lack a partner, or a patch is not on its partner slide.
    """
    if isinstance(source, FolderPatches):
        return ImagePartner(settings, source)
    return SlidePartner(settings, source)


class ImagePartner(Partner):
    """Images of another folder that have the names and the size of the first.

    Raises
    ------
    ManifestError
        If names differ, or sizes.
    """

    shows_more = True

    def __init__(self, settings: PairingSettings, source: FolderPatches) -> None:
        self._paths = match_images(source, settings.required_partner())
        self._channels = settings.channels
        refuse_other_size(source, self._paths)
        files = fingerprint_images(source.keys, self._paths)
        super().__init__(source, str(settings.channels), files)

    def contents(self) -> list[str]:
        """Hash the files of the second images."""
        return [content_fingerprint(path) for path in self._paths]

    def read(self, index: int) -> Pixels:
        """Decode the second image."""
        return read_channels(self._paths[index], self._channels)


class SlidePartner(Partner):
    """Slides that are registered to the source's by an affine transform in µm.

    The patch's place is transformed, and what is there is sampled with as many pixels as the patch
    has. Where tissue would be cut off is found out at once, not after hours.

    Raises
    ------
    ConfigError
        If the transform puts a patch outside its partner slide, or a slide lacks a channel.
    ManifestError
        If a slide lacks a partner.
    """

    shows_more = True

    def __init__(self, settings: PairingSettings, source: PatchSource) -> None:
        self._slides = _find_slides(settings, source)
        self._transform, self._kernel = settings.transform, settings.kernel
        identity = (slide.identity for slide in self._slides.values())
        super().__init__(source, f"{settings.transform} {settings.kernel}", *identity)
        self._refuse_outside(settings.required_partner())
        self._current = ""

    def contents(self) -> list[str]:
        """Return the hashes of the partner slides' files."""
        return [self._slides[item.slide_id].content for item in self.source.items]

    def read(self, index: int) -> Pixels:
        """Sample the second image where the patch is."""
        slide_id, points = self._corners(index)
        if self._current not in ("", slide_id):
            self._slides[self._current].release()
        self._current = slide_id
        along_x, along_y = points[1] - points[0], points[2] - points[0]
        mpp = min(np.hypot(*along_x) / self.size.width, np.hypot(*along_y) / self.size.height)
        window = self._slides[slide_id].read(bounds(points), float(mpp))
        return sample(window, points, self.size, self._kernel)

    def pack(self, cache: Path) -> Pixels:
        """Return all second images and close the slides."""
        packed = super().pack(cache)
        for slide in self._slides.values():
            slide.release()
        return packed

    def _corners(self, index: int) -> tuple[str, NDArray[np.float64]]:
        """Find the partner slide and where on it the patch's corners are, in µm."""
        place = self.source.place(index)
        assert place is not None, "a source that is no folder knows where its patches are"
        return place.slide_id, corners(place, self._transform)

    def _refuse_outside(self, path: Path) -> None:
        outside = []
        for index in range(len(self.source.items)):
            slide_id, points = self._corners(index)
            if not self._slides[slide_id].holds(bounds(points)):
                outside.append(index)
        if outside:
            first = self.source.name(outside[0])
            slide_id, points = self._corners(outside[0])
            box, (width, height) = bounds(points), self._slides[slide_id].size_um
            raise ConfigError(
                f"{path}: {len(outside)} of {len(self.source.items)} patches are outside the "
                f"partner slide, the first is {first} at x {box.left:.0f} to "
                f"{box.right:.0f} and y {box.top:.0f} to {box.bottom:.0f} µm of a slide of "
                f"{width:.0f} x {height:.0f} µm; correct --transform, or leave such patches out"
            )


def _find_slides(settings: PairingSettings, source: PatchSource) -> Mapping[str, PartnerSlide]:
    """Find the partner of each slide: a file, a file among others, or a slide of a store."""
    path = settings.required_partner()
    slide_ids = sorted({item.slide_id for item in source.items})
    if _store_of(path) is not None:
        store = RegionStore(_store_of(path) or path)
        refuse_lacking(slide_ids, set(store.slide_ids()), path, "prepare them there")
        return {name: StoreSlide(store, name, source.magnification) for name in slide_ids}
    files = _slide_files(path, slide_ids)
    return {name: FileSlide(files[name], settings.channels, settings.partner_mpp) for name in files}


def _store_of(path: Path) -> Path | None:
    """Return the region store that a path is, or that is in the workspace it is."""
    for folder in (path, path / "regions"):
        if next(folder.glob("*/slide.json"), None) is not None:
            return folder
    return None


def _slide_files(path: Path, slide_ids: list[str]) -> dict[str, Path]:
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder; correct --partner")
    if path.is_file():
        if len(slide_ids) > 1:
            raise ConfigError(
                f"{path}: one slide cannot be the partner of {len(slide_ids)}; give a folder with "
                "one of each name"
            )
        return {slide_ids[0]: path}
    slides = list_slides(path).slides
    named = dict(zip(name_slides(slides), slides, strict=True))
    refuse_lacking(slide_ids, set(named), path, "name partners as the slides")
    return {name: named[name] for name in slide_ids}
