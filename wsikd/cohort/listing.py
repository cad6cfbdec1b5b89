"""Which files of a folder are slides, those of its subfolders too, and what is left out."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from wsikd.cohort.dicom_series import by_series
from wsikd.file_kinds import HEAD_BYTES, FileKind, kind_of

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".jp2")
SLIDE_SUFFIXES = (
    *(".svs", ".tif", ".tiff", ".btf", ".tf2", ".tf8", ".ndpi", ".mrxs", ".scn", ".svslide"),
    *(".bif", ".vms", ".vmu", ".vsi", ".czi", ".qptiff", ".isyntax", ".dcm", ".zarr"),
    *PICTURE_SUFFIXES,
)
_PACKED = (".gz", ".bz2", ".xz", ".zst")  # a slide in one is listed, so that its row says why not
_MADE = {"slide.json", "run.json"}  # a folder with one of them was made by wsikd, so was a store:
_STORE = {"status.csv", ".locks"}
_INDEX_BYTES = 2**16


@dataclass
class Listing:
    """What a folder holds.

    Attributes
    ----------
    folder : Path
        Which was searched.
    slides : list of Path
        In order, readable or not, so that none vanishes unseen.
    other_files, other_folders : list of Path
        Files that are no slides, and subfolders that hold none.
    unreadable : list of (Path, str)
        Subfolders that cannot be searched, and why.
    """

    folder: Path
    slides: list[Path] = field(default_factory=list)
    other_files: list[Path] = field(default_factory=list)
    other_folders: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)

    def left_out(self) -> str:
        """Return in a line what was left out; empty if nothing was."""
        found = [*self.other_files, *self.other_folders]
        if not found:
            return ""
        counts = (_count(self.other_files, "file"), _count(self.other_folders, "subfolder"))
        first = found[0].relative_to(self.folder)
        return f"{' and '.join(filter(None, counts))} left out as no slides, the first is {first}"

    def notes(self) -> Iterator[str]:
        """Yield in a line each what a user should know."""
        for folder, reason in self.unreadable:
            yield f"{folder}: cannot be read ({reason}), slides in it are left out"
        if self.left_out():
            yield f"{self.folder}: {self.left_out()}"


def list_slides(folder: Path) -> Listing:
    """List the slides of a folder and its subfolders.

    A slide is a file with one of `SLIDE_SUFFIXES`, a file of another name that begins like a TIFF,
    a DICOM file or a picture, or a folder with the files of one DICOM series, whatever else is in
    it. Pictures in subfolders are left out where there are slides of other kinds: they are
    previews then, or masks. Passed over are hidden entries, what wsikd has made, and what belongs
    to a slide that is a file, such as the folder of a MIRAX slide.

    Raises
    ------
    OSError
        If the folder itself cannot be read.
    """
    listing = Listing(folder)
    _search(folder, _names_in(folder), listing, {os.path.realpath(folder)})
    if any(not _is_picture(slide) for slide in listing.slides):
        is_series = folder in listing.slides
        beside = [s for s in listing.slides if _is_picture(s) and (is_series or s.parent != folder)]
        listing.slides = list(set(listing.slides) - set(beside))
        listing.other_files += beside
    listing.slides.sort()
    listing.other_files.sort()
    return listing


def has_slide_suffix(name: str) -> bool:
    """Tell whether a file of this name is a slide, whatever is in it.

    Examples
    --------
    >>> has_slide_suffix("A.SVS"), has_slide_suffix("a.svs.gz"), has_slide_suffix("a.csv")
    (True, True, False)
    """
    path = PurePath(name.strip().lower())
    if path.suffix in _PACKED:
        return PurePath(path.stem).suffix in SLIDE_SUFFIXES
    return path.suffix in SLIDE_SUFFIXES


def _search(folder: Path, names: Sequence[str], listing: Listing, seen: set[str]) -> None:
    """Search a folder and those in it; `seen` has the true paths of all that were searched."""
    visible = [name for name in names if not name.startswith(".")]
    belonging = set(_belonging(folder, visible))
    paths = [folder / name for name in visible if name not in belonging]
    # pathlib raises for what is in a folder that may be listed and not entered
    folders = [path for path in paths if os.path.isdir(path)]  # noqa: PTH112
    kinds = {path: _kind(path) for path in sorted(set(paths) - set(folders))}
    slides = [path for path, kind in kinds.items() if kind in ("tiff", "picture")]
    slides += [path for path in folders if path.suffix.lower() == ".zarr"]
    dicom = [path for path, kind in kinds.items() if kind == "dicom"]
    may_be_one = folder != listing.folder or all(map(_is_picture, slides))
    listing.slides += [*slides, *_dicom_slides(dicom, folder, listing.folder, may_be_one)]
    listing.other_files += [path for path, kind in kinds.items() if kind == "other"]
    for inner in folders:
        if inner not in slides:
            _search_inner(inner, listing, seen)


def _search_inner(folder: Path, listing: Listing, seen: set[str]) -> None:
    true_path = os.path.realpath(folder)
    if true_path in seen:  # a link to a folder that was searched, or to one above
        return
    seen.add(true_path)
    try:
        names = _names_in(folder)
    except OSError as error:
        listing.unreadable.append((folder, str(error.strerror)))
        return
    if _MADE & set(names) or set(names) >= _STORE:
        return
    inner = Listing(listing.folder)
    _search(folder, names, inner, seen)
    listing.slides += inner.slides
    listing.unreadable += inner.unreadable
    if inner.slides or inner.unreadable:
        listing.other_files += inner.other_files
        listing.other_folders += inner.other_folders
    else:
        listing.other_folders.append(folder)


def _dicom_slides(files: Sequence[Path], folder: Path, top: Path, may_be_one: bool) -> list[Path]:
    """Return the folder, if its DICOM files are one series, or else a file for each series.

    By that file the others are found. A subfolder is a series, too, if its files do not tell.
    """
    series, untold = by_series(files)
    is_one = len(series) == 1 and not untold and len(files) > 1
    if files and may_be_one and (is_one or (folder != top and len(series) <= 1)):
        return [folder]
    return [*(group[0] for group in series), *untold]


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _kind(path: Path) -> FileKind:
    if _is_pipe(path):  # to open one waits for ever
        return "other"
    suffix = path.suffix.strip().lower()
    if suffix == ".dcm":
        return "dicom"
    if has_slide_suffix(path.name):
        return "picture" if suffix in PICTURE_SUFFIXES else "tiff"
    try:
        if not path.is_file() or path.name.upper() == "DICOMDIR":
            return "other"
        with path.open("rb") as file:
            return kind_of(file.read(HEAD_BYTES))
    except OSError:
        return "other"


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo() or path.is_socket()
    except OSError:  # in a folder that cannot be read, which its row says
        return False


def _is_picture(path: Path) -> bool:
    return path.suffix.strip().lower() in PICTURE_SUFFIXES


def _belonging(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Yield the names of what belongs to the slides that are index files."""
    for name in names:
        path = folder / name
        suffix = path.suffix.lower()
        if suffix == ".mrxs":
            yield path.stem
        elif suffix == ".vsi":
            yield f"_{path.stem}_"
        elif suffix in (".vms", ".vmu"):
            yield from re.findall(r"=[ \t]*(\S.*?)\s*$", _read_index(path), re.MULTILINE)


def _read_index(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_INDEX_BYTES).decode(errors="surrogateescape")
    except OSError:
        return ""


def _count(paths: Sequence[Path], noun: str) -> str:
    return f"{len(paths)} {noun}{'s' if len(paths) > 1 else ''}" if paths else ""
