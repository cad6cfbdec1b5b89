"""What patches show, for the record of who has seen whom: files, pixels, patients."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from wsikd.data.likeness import perceptual_hash, pixel_digest
from wsikd.data.patches.source import PatchSource
from wsikd.files import clear_up, replacing
from wsikd.geometry import Pixels
from wsikd.locks import in_turn

_DIGESTS = ["content", "pixels", "perceptual"]


class Shown(Protocol):
    """Images in a fixed order: patches, or second images of them."""

    def contents(self) -> list[str]:
        """Hash the file that each image is from."""

    def pack(self, cache: Path) -> Pixels:
        """Return all images, mapped from disk."""


def seen_patches(source: PatchSource, cache: Path) -> pd.DataFrame:
    """Describe all patches of a source by the columns of `learnt.csv`, in the order of its items.

    Parameters
    ----------
    source : PatchSource
        The patches.
    cache : Path
        Folder of decoded patches; digests of them are kept beside these.
    """
    table = source.table
    known = table["patient_id"] != ""
    traced = table["traced"] if "traced" in table else known.map({True: "yes", False: "no"})
    seen = pd.DataFrame(
        {
            "slide_id": table["slide_id"],
            "patient_id": table["patient_id"],
            "traced": traced,
            "width": str(source.size.width),
            "height": str(source.size.height),
        }
    ).reset_index(drop=True)
    return pd.concat([seen, digests_of(source, cache)], axis=1)


def digests_of(images: Shown, cache: Path) -> pd.DataFrame:
    """Return hashes of each image's file, pixels and look, computed once for the same images.

    Returns
    -------
    DataFrame
        Columns content, pixels and perceptual, in the order of the images.
    """
    packed = images.pack(cache)
    assert isinstance(packed, np.memmap), type(packed)
    path = Path(str(packed.filename)).with_suffix(".digests.csv")
    if not path.exists():
        with in_turn(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                clear_up(path.parent, path.name)
                _write(path, images.contents(), packed)
    return pd.read_csv(path, dtype=str, keep_default_na=False)[_DIGESTS]


def _write(path: Path, contents: Sequence[str], packed: Pixels) -> None:
    rows = [
        (content, pixel_digest(image), perceptual_hash(image))
        for content, image in zip(contents, map(np.asarray, packed), strict=True)
    ]
    with replacing(path) as temporary:
        pd.DataFrame(rows, columns=_DIGESTS).to_csv(temporary, index=False)
