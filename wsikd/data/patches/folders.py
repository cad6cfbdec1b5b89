"""A folder of images as patches: class subfolders, as NCT-CRC-HE ships, or flat."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from PIL import Image, UnidentifiedImageError

from wsikd.cohort.columns import COLUMNS
from wsikd.cohort.manifest import read_manifest
from wsikd.data.patches.source import PatchSettings, PatchSource, Place
from wsikd.data.regions import RegionItem
from wsikd.errors import ConfigError, ManifestError, NothingUsableError, SlideError
from wsikd.geometry import Pixels, Region, Size
from wsikd.hashing import content_fingerprint, digest, file_fingerprint
from wsikd.slides.image import ImageReader

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
REGION_ID = "image"
"""What the only region of an image is called."""


class FoundImage(NamedTuple):
    """A file, its name below its folder without suffix ("ADI/ADI-AAA"), and its class or ""."""

    path: Path
    key: str
    label: str


class FolderPatches(PatchSource):
    """Images of one size, each a patch and, unless a table says otherwise, a patient of its own.

    Labels are the names of the subfolders. Images are split "train", or "auxiliary" without a
    label; those of `test_images` are "test".

    Parameters
    ----------
    folder : Path
        Holds the images, or a subfolder of them per class.
    settings : PatchSettings
        With a table, the images of `folder` are those it lists.

    Attributes
    ----------
    paths : tuple of Path
        File of each item.
    keys : tuple of str
        Name of each item's file below its folder, without suffix: what its partner is called.
    is_whole : bool
        Whether all images of the folder are items.

    Raises
    ------
    ConfigError
        If the magnification is not stated.
    ManifestError
        If images share a name or differ in size, or the table breaks a rule.
    NothingUsableError
        If there is no image.
    """

    def __init__(self, folder: Path, settings: PatchSettings) -> None:
        if settings.mag is None:
            raise ConfigError(
                "--mag is required by --images: the images' magnification, such as 20"
            )
        self.magnification, self.origin = settings.mag, str(folder)
        self.is_whole = settings.table is None
        if settings.table is None:
            table = _list_table(list_images(folder))
        else:
            table = _read_table(settings.table, folder)
        if settings.test_images is not None:
            tested = _list_table(list_images(settings.test_images)).assign(split="test")
            table = pd.concat([table, tested], ignore_index=True)
        _refuse_twice(table, folder)
        self.table = table.drop(columns="key")
        self.table.attrs["source"] = str(settings.table or folder)
        self.paths = tuple(map(Path, table["path"]))
        self.keys = tuple(table["key"])
        self.size = common_size(self.paths)
        self.items = tuple(_item(row) for row in table.to_dict("records"))
        self.fingerprint = fingerprint_images(self.keys, self.paths)

    def read(self, index: int) -> Pixels:
        """Decode an image."""
        return read_image(self.paths[index])

    def contents(self) -> list[str]:
        """Hash the files, whatever they are called."""
        return [content_fingerprint(path) for path in self.paths]

    def place(self, index: int) -> Place | None:  # noqa: ARG002
        """Return None: nothing tells where such images are from."""
        return None

    def name(self, index: int) -> str:
        """Name an image."""
        return self.items[index].slide_id


def list_images(folder: Path) -> list[FoundImage]:
    """List the images of a folder, or of its subfolders, which then are the classes; by name.

    Raises
    ------
    ManifestError
        If the folder is missing, or has images both in itself and in subfolders.
    NothingUsableError
        If there is none.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder")
    flat = [FoundImage(path, path.stem, "") for path in _images_in(folder)]
    classes = [entry for entry in sorted(folder.iterdir()) if entry.is_dir()]
    nested = [
        FoundImage(path, f"{entry.name}/{path.stem}", entry.name)
        for entry in classes
        if not entry.name.startswith(".")
        for path in _images_in(entry)
    ]
    if flat and nested:
        raise ManifestError(
            f"{folder}: images must be in class folders or beside each other, {flat[0].path.name} "
            f"is beside {nested[0].label}; move it"
        )
    if not flat and not nested:
        raise NothingUsableError(f"{folder}: holds no image ({', '.join(SUFFIXES)})")
    return flat or nested


def common_size(paths: Sequence[Path]) -> Size:
    """Return the size that all images have; only their heads are read.

    Raises
    ------
    ManifestError
        The message names the first image that is of another size than the first one.
    SlideError
        If a file is no image.
    """
    first = _size_of(paths[0])
    for path in paths[1:]:
        size = _size_of(path)
        if size != first:
            raise ManifestError(
                f"{path}: is {size.width} x {size.height} px, {paths[0].name} is {first.width} x "
                f"{first.height}; bring all images to one size"
            )
    return first


def read_image(path: Path) -> Pixels:
    """Decode an image to RGB, shape (height, width, 3)."""
    with ImageReader(path) as image:
        return image.read(Region(0, 0, image.size))


def fingerprint_images(keys: Sequence[str], paths: Sequence[Path]) -> str:
    """Hash names and contents; a file's content by its size, its beginning and its end."""
    files = zip(keys, paths, strict=True)
    return digest(f"{key}\t{file_fingerprint(path)}" for key, path in files)


def _list_table(images: Sequence[FoundImage]) -> pd.DataFrame:
    """Make the table of a folder without one; named after the files where that tells them apart."""
    uses = Counter(image.path.stem for image in images)
    names = [
        image.path.stem if uses[image.path.stem] == 1 else image.key.replace("/", "-")
        for image in images
    ]
    table = pd.DataFrame(
        {
            "slide_id": names,
            "path": [str(image.path.absolute()) for image in images],
            "label": [image.label for image in images],
            "key": [image.key for image in images],
        },
        dtype=str,
    )
    return _completed(table.reindex(columns=[*COLUMNS, "key"], fill_value=""))


def _read_table(path: Path, folder: Path) -> pd.DataFrame:
    """Read a table of images, whose paths are relative to its own folder or to the images'."""
    table = read_manifest(path, folder)
    near, images = path.parent.absolute(), folder.absolute()
    paths = [_find(Path(text), near, images) for text in table["path"]]
    lacking = [found for found in paths if not found.is_file()]
    if lacking:
        raise ManifestError(
            f"{path}: {len(lacking)} of {len(paths)} images are not there, the first is "
            f"{lacking[0]}; correct the column path"
        )
    keys = [_key(found, images) for found in paths]
    table = table.assign(path=[str(found) for found in paths], key=keys)
    classes = [key.rpartition("/")[0] for key in keys]
    table["label"] = table["label"].mask(table["label"] == "", pd.Series(classes, table.index))
    return _completed(table)


def _find(path: Path, near: Path, images: Path) -> Path:
    if path.is_file() or not path.is_relative_to(near):
        return path
    return images / path.relative_to(near)


def _key(path: Path, folder: Path) -> str:
    inner = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    return inner.with_suffix("").as_posix()


def _completed(table: pd.DataFrame) -> pd.DataFrame:
    """Assign each image a patient, and a split unless some have one."""
    unknown = table["patient_id"] == ""
    own = table["patient_id"].mask(unknown, table["slide_id"])
    table = table.assign(patient_id=own, traced=unknown.map({True: "no", False: "yes"}))
    if ((table["split"] == "") & (table["fold"] == "")).all():
        table["split"] = ["train" if label else "auxiliary" for label in table["label"]]
    return table


def _refuse_twice(table: pd.DataFrame, folder: Path) -> None:
    first: dict[str, str] = {}
    for name, path in zip(table["slide_id"], table["path"], strict=True):
        if name in first:
            raise ManifestError(
                f"{folder}: images must have names of their own, {first[name]} and {path} are both "
                f"{name!r}; rename one"
            )
        first[name] = path


def _item(row: Mapping[Hashable, Any]) -> RegionItem:
    return RegionItem(row["slide_id"], row["patient_id"], REGION_ID, row["split"], row["label"])


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _size_of(path: Path) -> Size:
    try:
        with Image.open(path) as image:
            return Size(*image.size)
    except (UnidentifiedImageError, OSError) as error:
        reason = " ".join(str(error).replace(f" {str(path)!r}", "").split())
        raise SlideError(
            f"{path}: cannot be opened as an image ({reason}); copy it again"
        ) from None
