"""Which entries of a folder are slides, and what they are called."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsikd.errors import ManifestError

SLIDE_SUFFIXES = (
    *(".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".vms", ".vmu"),
    *(".czi", ".qptiff", ".isyntax", ".dcm", ".png", ".jpg", ".jpeg", ".webp"),
)


def list_slides(folder: Path) -> list[Path]:
    """List the slides of a folder by name, readable or not, so that none vanishes unseen.

    A slide is a file with one of `SLIDE_SUFFIXES`, or a subfolder that holds DICOM files only: one
    series. Other subfolders are not searched; hidden entries are left out.
    """
    return [entry for entry in _visible(folder) if _is_slide(entry)]


def name_slides(paths: Sequence[Path], known: Mapping[str, str] | None = None) -> list[str]:
    """Name slides after their files without the last suffix, or with it where two would collide.

    Parameters
    ----------
    paths : sequence of Path
        Slides that were found together.
    known : mapping of str to str, or None
        Names by absolute path that slides have already, see `path_key`: those keep them, and no
        other file is given one.

    Examples
    --------
    >>> name_slides([Path("a.svs"), Path("b.svs"), Path("b.ome.tif"), Path("b.tif")])
    ['a', 'b.svs', 'b.ome', 'b.tif']
    """
    known = known or {}
    file_of = {slide_id: Path(key).name for key, slide_id in known.items()}
    stems = [_stem(path) for path in paths]
    uses = Counter(stems)
    names = []
    for path, stem in zip(paths, stems, strict=True):
        # a file of the same name is a slide that was moved
        is_free = uses[stem] == 1 and file_of.get(stem, path.name) == path.name
        names.append(known.get(path_key(path), stem if is_free else path.name))
    return names


def path_key(path: Path) -> str:
    """Return the text by which a path is known: absolute, without ".."; links are not followed."""
    return os.path.abspath(path)  # noqa: PTH100  pathlib keeps ".." or follows links


def file_key(path: Path) -> str:
    """Return the text by which a file is known, however its path is spelt; links are followed."""
    return os.path.realpath(path)


def find_slides(
    slide_ids: Sequence[str], folder: Path, known: Mapping[str, str] | None = None
) -> list[str]:
    """Find the slides of a folder that go by these names, see `name_slides`; absolute paths.

    Raises
    ------
    ManifestError
        If the folder holds no slide of one of the names.
    """
    slides = list_slides(folder.absolute())
    named = dict(zip(name_slides(slides, known), slides, strict=True))
    for slide_id in slide_ids:
        if slide_id and slide_id not in named:
            raise ManifestError(
                f"{folder}: holds no slide named {slide_id!r}; correct its slide_id, or add the "
                "column path"
            )
    return [str(named.get(slide_id, "")) for slide_id in slide_ids]


def _stem(path: Path) -> str:
    # the folder of a DICOM series may have dots in its name, but no suffix
    return path.stem if path.suffix.lower() in SLIDE_SUFFIXES else path.name


def _is_slide(entry: Path) -> bool:
    if entry.is_dir():
        return {file.suffix.lower() for file in _visible(entry)} == {".dcm"}
    return entry.suffix.lower() in SLIDE_SUFFIXES


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
