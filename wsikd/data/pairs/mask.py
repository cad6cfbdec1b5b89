"""A label image as the second image, such as the cell types that a nuclei segmenter found.

The mask of "More From Less" [1]_: class numbers of HoVer-Net on three equal channels. The paper
does not say how they are scaled, and the published code feeds them as they are; spread over 0 to
255 they survive the augmentation.

References
----------
.. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from wsikd.data.pairs.files import match_images, refuse_other_size
from wsikd.data.pairs.partner import Partner
from wsikd.data.pairs.settings import PairingSettings
from wsikd.data.patches import PatchSource
from wsikd.data.patches.folders import REGION_ID, FolderPatches, fingerprint_images
from wsikd.data.patches.grid import RegionPatches
from wsikd.errors import ConfigError, SlideError, StoreError
from wsikd.geometry import Pixels
from wsikd.hashing import digest, file_fingerprint
from wsikd.store.labels import Labels, labels_path, read_labels


def open_mask(settings: PairingSettings, source: PatchSource) -> Partner:
    """Find the label images: of equal names in a folder, or of the regions in a run's folder.

    Raises
    ------
    ConfigError
        If the partner is not stated.
    ManifestError, StoreError
        If an image or a region has no labels, or of another size or magnification.
    """
    partner = settings.required_partner()
    if isinstance(source, RegionPatches):
        return MaskRegionPartner(settings, source)
    assert isinstance(source, FolderPatches)
    if (partner / "run.json").exists():
        return SegmentedImagePartner(settings, source)
    return MaskImagePartner(settings, source)


_NUCLEI = 2  # classes of a nuclei segmenter: background and nucleus


class MaskImagePartner(Partner):
    """Label images of another folder that have the names and the size of the first."""

    def __init__(self, settings: PairingSettings, source: FolderPatches) -> None:
        self._paths = match_images(source, settings.required_partner())
        self._classes = settings.mask_classes
        refuse_other_size(source, self._paths)
        files = fingerprint_images(source.keys, self._paths)
        super().__init__(source, f"{settings.mask_classes}", files)

    def read(self, index: int) -> Pixels:
        """Read a label image and paint it."""
        path = self._paths[index]
        return paint(_read_label_image(path), self._classes, str(path))


class SegmentedImagePartner(Partner):
    """Label images of a folder's images that `wsikd segment apply` wrote."""

    def __init__(self, settings: PairingSettings, source: FolderPatches) -> None:
        self._folder, self._classes = _labels_of(settings), settings.mask_classes or _NUCLEI
        self._names = [item.slide_id for item in source.items]
        written = _written(self._folder, [(name, REGION_ID) for name in self._names])
        super().__init__(source, f"{self._classes}", written)
        self.read(0)  # refuses another size now

    def read(self, index: int) -> Pixels:
        """Read the labels of an image and paint them."""
        name, (width, height) = self._names[index], self.size
        labels = read_labels(self._folder, name, REGION_ID)
        path = str(labels_path(self._folder, name, REGION_ID))
        if labels.shape != (height, width):
            raise StoreError(
                f"{path}: is {labels.shape[1]} x {labels.shape[0]} px, its image is {width} x "
                f"{height}; segment the images as they are, without --mpp"
            )
        return paint(labels, self._classes, path)


class MaskRegionPartner(Partner):
    """Label images of regions that a run of wsikd wrote."""

    def __init__(self, settings: PairingSettings, source: RegionPatches) -> None:
        self._folder, self._classes = _labels_of(settings), settings.mask_classes or _NUCLEI
        written = _written(self._folder, source.regions())
        super().__init__(source, f"{self._classes}", written)
        self._regions = source
        read = partial(read_labels, self._folder, mag=source.magnification)
        self._read_region = lru_cache(maxsize=1)(read)
        self._read_region(*source.regions()[0])  # refuses a wrong magnification now

    def read(self, index: int) -> Pixels:
        """Cut a patch of a region's labels and paint it."""
        cut = self._regions.cuts[index]
        labels = self._read_region(cut.slide_id, cut.region_id)
        width, height = self.size
        part = labels[cut.top : cut.top + height, cut.left : cut.left + width]
        path = labels_path(self._folder, cut.slide_id, cut.region_id)
        return paint(part, self._classes, str(path))


def _labels_of(settings: PairingSettings) -> Path:
    folder = settings.required_partner() / "labels"
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: no such folder; --partner must be a run that made labels, by wsikd segment "
            "apply"
        )
    return folder


def _written(folder: Path, regions: Sequence[tuple[str, str]]) -> str:
    """Compute a hash of the labels of regions.

    Raises
    ------
    StoreError
        If some have none.
    """
    paths = [labels_path(folder, *region) for region in regions]
    lacking = [path for path in paths if not path.is_dir()]
    if lacking:
        raise StoreError(
            f"{folder}: {len(lacking)} of {len(paths)} regions have no labels, the first is "
            f"{lacking[0].relative_to(folder)}; segment them first"
        )
    files = (file for path in paths for file in sorted(path.rglob("*")) if file.is_file())
    return digest(f"{file.relative_to(folder)} {file_fingerprint(file)}" for file in files)


def paint(labels: Labels, classes: int | None, subject: str) -> Pixels:
    """Make a grey picture of class numbers.

    Parameters
    ----------
    labels : ndarray of unsigned integers, shape (height, width)
        Numbers from 0, the background.
    classes : int or None
        How many there are, with the background: number k is painted 255 k / (classes - 1). None
        leaves numbers as they are.
    subject : str
        What messages begin with.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    SlideError
        If a number is too large.

    Examples
    --------
    >>> paint(np.array([[0, 1, 2]], np.uint8), 3, "mask")[0, :, 0].tolist()
    [0, 128, 255]
    """
    largest, limit = int(labels.max()), 255 if classes is None else classes - 1
    if largest > limit:
        remedy = "paint classes, not objects" if classes is None else "raise --mask-classes"
        raise SlideError(f"{subject}: labels must be at most {limit}, got {largest}; {remedy}")
    grey = labels.astype(np.uint8)
    if classes is not None:
        grey = np.floor(labels * (255 / (classes - 1)) + 0.5).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _read_label_image(path: Path) -> Labels:
    """Read a label image of one channel; of a palette, the numbers and not the colours."""
    try:
        with Image.open(path) as image:
            labels = np.asarray(image)
    except (UnidentifiedImageError, OSError) as error:
        reason = " ".join(str(error).replace(f" {str(path)!r}", "").split())
        raise SlideError(f"{path}: cannot be decoded ({reason}); copy it again") from None
    if labels.ndim == 3 and (labels == labels[..., :1]).all():
        labels = labels[..., 0]  # already repeated
    if labels.ndim != 2 or labels.dtype.kind not in "bui" or labels.min() < 0:
        raise SlideError(
            f"{path}: labels must be whole numbers in one channel, got {labels.dtype} of shape "
            f"{labels.shape}; export class numbers"
        )
    return labels
