"""Labelled sets of nuclei: images with the true nuclei, however they are shipped.

The layouts, by kind:

* monuseg: the challenge's .tif images with .xml outlines, in "Tissue Images" and "Annotations" or
  side by side, at any depth; a folder with "train" or "test" in its name decides the split, one
  below the set before the set's own
* consep: `Train/Images/*.png` with `Train/Labels/*.mat`, and `Test` likewise
* tnbc: `Slide_01/*.png` with `GT_01/*.png`; those masks do not part nuclei that touch
* table: `labels.csv` with columns image and mask (paths of pictures; the mask holds the number of
  each pixel's nucleus) and, if known, name, patient_id, challenge_part and mpp
* pairs: `images/*.png` with `instances/*.png` of the same name, numbers of nuclei again
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from wsikd.cohort.columns import read_cells, rule_broken
from wsikd.cohort.stratify import deal_splits
from wsikd.data.patches.folders import common_size, read_image
from wsikd.errors import ManifestError, NothingUsableError
from wsikd.geometry import Pixels, Size
from wsikd.nuclei.score.truth import (
    Instances,
    Truth,
    read_mask,
    read_matrix,
    read_numbers,
    read_outlines,
)

SetKind = Literal["monuseg", "consep", "tnbc", "table", "pairs"]
Part = Literal["train", "test", ""]

_MPP_AT_40X = 0.25  # the three published sets say 40x
_PATIENT = 12  # characters of a TCGA barcode that name the patient


@dataclass(frozen=True)
class LabelledImage:
    """An image whose nuclei are known.

    Attributes
    ----------
    name : str
        Of the image, without suffix.
    patient_id : str
        The patient the tissue comes from; the image's name where that is unknown.
    split : {"train", "test", ""}
        Part of the set that it belongs to; empty where the set is not parted.
    mpp : float or None
        µm per pixel, None if unknown.
    image, truth : Path
        Files.
    read : callable
        Reads the file of the truth, given the size of the image.
    """

    name: str
    patient_id: str
    split: Part
    mpp: float | None
    image: Path
    truth: Path
    read: Callable[[Path, Size], Truth]

    @property
    def parts_touching(self) -> bool:
        """Whether its truth tells nuclei that touch from each other; a mask does not."""
        return self.read is not read_mask

    def read_pixels(self) -> Pixels:
        """Decode the image: ndarray of uint8, shape (height, width, 3)."""
        return read_image(self.image)

    def read_truth(self) -> Truth:
        """Read the nuclei, and how many outlines had none.

        Raises
        ------
        SlideError
            If the file is damaged or does not fit the image; the message names it.
        """
        return self.read(self.truth, common_size([self.image]))

    def read_instances(self) -> Instances:
        """Read the nuclei: ndarray of int32, shape (height, width), 0 background."""
        return self.read_truth().instances


class _Layout(NamedTuple):
    """Of a kind: whether a folder is one, and its images."""

    recognises: Callable[[Path], bool]
    list_images: Callable[[Path], Iterable[LabelledImage]]


def open_nuclei_set(
    folder: Path, kind: SetKind | Literal["auto"] = "auto"
) -> tuple[LabelledImage, ...]:
    """List the images of a labelled set, by name; nothing is decoded yet.

    Parameters
    ----------
    folder : Path
        Of the set.
    kind : {"auto", "monuseg", "consep", "tnbc", "table", "pairs"}
        How the set is laid out; the module's text describes the layouts.

    Raises
    ------
    NothingUsableError
        If the folder is none of the kinds, or not of the one that was asked for.
    ManifestError
        If it is missing, a file lacks its partner, two images share a name, or a table breaks a
        rule.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder")
    names = get_args(SetKind) if kind == "auto" else (kind,)
    found = next((name for name in names if LAYOUTS[name].recognises(folder)), None)
    if found is None:
        raise NothingUsableError(
            f"{folder}: must be laid out as a set of nuclei ({', '.join(names)}), is not; name the "
            "folder that holds the images and their labels"
        )
    images = sorted(LAYOUTS[found].list_images(folder), key=lambda image: image.name)
    _refuse_twice(images, folder)
    return tuple(images)


def split_images(images: Sequence[LabelledImage], seed: int) -> tuple[LabelledImage, ...]:
    """Part images in training and test images, unless the set does; no patient is in both.

    Parameters
    ----------
    images : sequence of LabelledImage
        Of one set.
    seed : int
        Of the shuffling of the patients; half of them are for testing.

    Raises
    ------
    ManifestError
        If some images have a part and others not, or a single patient cannot be parted.
    """
    without = [image for image in images if not image.split]
    if not without:
        return tuple(images)
    if len(without) < len(images):
        raise ManifestError(
            f"{without[0].image}: is in neither train nor test, others are; say which, or for none"
        )
    patients = {image.patient_id: [""] for image in images}
    if len(patients) < 2:
        raise ManifestError(
            f"{images[0].image.parent}: images of at least 2 patients can be parted, got 1; "
            "add images of others"
        )
    dealt = deal_splits(patients, {"train": 0.5, "test": 0.5}, seed)
    return tuple(
        replace(image, split="test" if dealt[image.patient_id] == "test" else "train")
        for image in images
    )


def _list_monuseg(folder: Path) -> Iterator[LabelledImage]:
    pictures, outlines = (_by_stem(folder, pattern) for pattern in ("**/*.tif", "**/*.xml"))
    for name, picture, truth in _partners(pictures, outlines, "outlines (.xml)"):
        inner = picture.parent.relative_to(folder).as_posix().lower()
        split = _part_named(inner) or _part_named(folder.name.lower())
        patient = name[:_PATIENT] if name.startswith("TCGA-") else name
        yield LabelledImage(name, patient, split, _MPP_AT_40X, picture, truth, read_outlines)


def _part_named(text: str) -> Part:
    return "test" if "test" in text else "train" if "train" in text else ""


def _list_consep(folder: Path) -> Iterator[LabelledImage]:
    for part, split in _CONSEP_PARTS.items():
        pictures = _by_stem(folder / part / "Images", "*.png")
        matrices = _by_stem(folder / part / "Labels", "*.mat")
        for name, picture, truth in _partners(pictures, matrices, "matrix (.mat)"):
            yield LabelledImage(name, name, split, _MPP_AT_40X, picture, truth, read_matrix)


def _list_tnbc(folder: Path) -> Iterator[LabelledImage]:
    for slide in sorted(folder.glob("Slide_*")):
        number = slide.name.removeprefix("Slide_")
        masks = _by_stem(folder / f"GT_{number}", "*.png")
        for name, picture, truth in _partners(_by_stem(slide, "*.png"), masks, "mask"):
            yield LabelledImage(name, slide.name, "", _MPP_AT_40X, picture, truth, read_mask)


def _list_pairs(folder: Path) -> Iterator[LabelledImage]:
    pictures = _by_stem(folder / "images", "*.png")
    numbers = _by_stem(folder / "instances", "*.png")
    for name, picture, truth in _partners(pictures, numbers, "picture in instances"):
        yield LabelledImage(name, name, "", None, picture, truth, read_numbers)


def _list_table(folder: Path) -> Iterator[LabelledImage]:
    source = folder / _TABLE
    table = read_cells(source)
    for column in ("path", "mask_path"):
        if column not in table:
            raise ManifestError(f"{source}: needs the columns image and mask; add what is missing")
    for number, row in enumerate(table.to_dict("records"), start=2):
        known = {str(name): str(text) for name, text in row.items()}
        yield _labelled(known, source, number)


def _labelled(row: Mapping[str, str], source: Path, number: int) -> LabelledImage:
    picture, truth = (source.parent / row[column] for column in ("path", "mask_path"))
    for path in (picture, truth):
        if not path.is_file():
            raise ManifestError(f"{source}: {path} in row {number} is not there; correct the row")
    kind, mpp, part = (row.get(key, "") for key in ("mask_kind", "mpp", "challenge_part"))
    rules = {
        "mask_kind": None if kind in ("", "instance16") else "instance16",
        "mpp": rule_broken("mpp", mpp),
        "challenge_part": None if part in get_args(Part) else "train or test",
    }
    for column, rule in rules.items():
        if rule:
            raise ManifestError(
                f"{source}: {column} in row {number} must be {rule}, got {row[column]!r}"
            )
    name = row.get("name") or picture.stem
    patient = row.get("patient_id") or name
    split: Part = "train" if part == "train" else "test" if part == "test" else ""
    return LabelledImage(
        name, patient, split, float(mpp) if mpp else None, picture, truth, read_numbers
    )


def _partners(
    pictures: Mapping[str, Path], truths: Mapping[str, Path], what: str
) -> Iterator[tuple[str, Path, Path]]:
    for name in sorted(pictures.keys() | truths.keys()):
        if name not in truths:
            raise ManifestError(f"{pictures[name]}: has no {what} of the same name; add it")
        if name not in pictures:
            raise ManifestError(f"{truths[name]}: has no image of the same name; add it")
        yield name, pictures[name], truths[name]


def _by_stem(folder: Path, pattern: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in _visible(folder, pattern):
        if first := found.get(path.stem):
            raise ManifestError(
                f"{folder}: files must have names of their own, {first} and {path} are both "
                f"{path.stem!r}; rename one"
            )
        found[path.stem] = path
    return found


def _visible(folder: Path, pattern: str) -> list[Path]:
    """List files; archives made on a Mac hold a hidden twin of each."""
    return [path for path in sorted(folder.glob(pattern)) if not path.name.startswith(".")]


def _refuse_twice(images: Sequence[LabelledImage], folder: Path) -> None:
    for one, other in pairwise(images):
        if one.name == other.name:
            raise ManifestError(
                f"{folder}: images must have names of their own, {one.image} and {other.image} are "
                f"both {one.name!r}; rename one"
            )


_TABLE = "labels.csv"
_CONSEP_PARTS: Mapping[str, Part] = {"Train": "train", "Test": "test"}

LAYOUTS: Mapping[SetKind, _Layout] = {
    "table": _Layout(lambda folder: (folder / _TABLE).is_file(), _list_table),
    "pairs": _Layout(lambda folder: (folder / "instances").is_dir(), _list_pairs),
    "tnbc": _Layout(lambda folder: any(folder.glob("GT_*")), _list_tnbc),
    "consep": _Layout(
        lambda folder: any((folder / part / "Labels").is_dir() for part in _CONSEP_PARTS),
        _list_consep,
    ),
    "monuseg": _Layout(lambda folder: bool(_visible(folder, "**/*.xml")), _list_monuseg),
}
