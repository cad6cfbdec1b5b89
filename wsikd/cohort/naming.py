"""What slides are called: after their files, safely, each by a name of its own."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wsikd.cohort.listing import SLIDE_SUFFIXES, list_slides
from wsikd.errors import ManifestError
from wsikd.hashing import text_digest

LONGEST_ID = 200
"""In bytes: file systems take names of 255, and temporary ones are longer than the id."""

_HASH = 8  # hexadecimal digits that tell names apart
_NO_NAME = "slide"


def name_slides(paths: Sequence[Path], known: Mapping[str, str] | None = None) -> list[str]:
    """Name slides after their files, each by the first of these that is its own.

    The name without the last suffix, with it, then both after the names of more and more folders,
    and at last with a hash. Names that differ in case alone are one name, as some file systems
    have it. What a folder's name cannot hold is replaced, see `safe_id`.

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
    >>> name_slides([Path("tumour/1.png"), Path("normal/1.png")])
    ['tumour-1', 'normal-1']
    """
    known = known or {}
    keys = [path_key(path) for path in paths]
    named = {key: known[key] for key in keys if key in known}
    owners = {_fold(slide_id): key for key, slide_id in known.items()}
    forms = {key: _forms(path) for key, path in zip(keys, paths, strict=True) if key not in named}
    while forms:
        tried = {key: next(names) for key, names in forms.items()}
        uses = Counter(map(_fold, tried.values()))
        for key, name in tried.items():
            owner = owners.get(_fold(name))
            is_free = owner is None or (owner not in named and _is_moved(owner, key))
            if uses[_fold(name)] == 1 and is_free:
                named[key] = name
                owners[_fold(name)] = key
                del forms[key]
    return [named[key] for key in keys]


def safe_id(name: str) -> str:
    r"""Return a name that a folder can have everywhere and a table can hold.

    Blanks of any kind become plain ones, single and inside only; invisible characters go; what
    cannot be printed, slashes and bytes that are no UTF-8 become "_"; accents are composed.

    Examples
    --------
    >>> safe_id("S\u00a01 "), safe_id("a\\b\udcff"), safe_id("Mu\u0308ller") == "M\xfcller"
    ('S 1', 'a_b_', True)
    """
    composed = plain_blanks(unicodedata.normalize("NFC", name))
    text = " ".join("".join(map(_safe, composed)).split())
    text = f"_{text[1:]}" if text.startswith(".") else text or _NO_NAME
    if len(text.encode()) <= LONGEST_ID:
        return text
    cut = text.encode()[: LONGEST_ID - _HASH - 1].decode(errors="ignore")
    return f"{cut.rstrip()}-{_hash(name)}"


def plain_blanks(text: str) -> str:
    r"""Return a text with blanks of any kind as plain ones, and without invisible characters.

    Examples
    --------
    >>> plain_blanks("S\u00a01\u200b")
    'S 1'
    """
    visible = (character for character in text if unicodedata.category(character) != "Cf")
    return "".join(" " if character.isspace() else character for character in visible)


def path_key(path: Path) -> str:
    """Return the text by which a path is known: absolute, without ".."; links are not followed."""
    return os.path.abspath(path)  # noqa: PTH100  pathlib keeps ".." or follows links


def file_key(path: Path) -> str:
    """Return the text by which a file is known, however its path is spelt; links are followed."""
    return os.path.realpath(path)


def find_slides(
    slide_ids: Sequence[str], folder: Path, known: Mapping[str, str] | None = None
) -> tuple[list[str], list[str]]:
    """Find the slides of a folder that go by these names: ids, or files below the folder.

    Returns
    -------
    tuple of (list of str, list of str)
        Their ids, see `name_slides`, and absolute paths; both are empty where a name is.

    Raises
    ------
    ManifestError
        If the folder holds no slide of one of the names, or several.
    """
    slides = list_slides(folder.absolute()).slides
    names = name_slides(slides, known)
    by_name = dict(zip(names, slides, strict=True))
    others: dict[str, list[str]] = {}
    for slide_id, path in by_name.items():
        for text in (path.name, str(path.relative_to(folder.absolute()))):
            for other in {text, text.removesuffix(path.suffix)}:
                others.setdefault(_plain(other), []).append(slide_id)
    found = [_find_one(text, by_name, others, folder) for text in slide_ids]
    return found, [str(by_name.get(name, "")) for name in found]


def _find_one(
    text: str, by_name: Mapping[str, Path], others: Mapping[str, Sequence[str]], folder: Path
) -> str:
    name = safe_id(text)
    if not text or name in by_name:
        return name if text else ""
    matches = sorted(set(others.get(_plain(text), ())))
    if not matches:
        raise ManifestError(
            f"{folder}: holds no slide named {text!r}; correct its slide_id, or add the column path"
        )
    if len(matches) > 1:
        raise ManifestError(
            f"{folder}: holds {len(matches)} slides named {text!r}, such as {matches[0]}; say "
            "which in a column path"
        )
    return matches[0]


def _forms(path: Path) -> Iterator[str]:
    name, stem = path.name, _stem(path)
    yield safe_id(stem)
    yield safe_id(name)
    above = ""
    for folder in reversed(Path(path_key(path.parent)).parts[1:]):
        above = f"{folder}-{above}"
        yield safe_id(f"{above}{stem}")
        yield safe_id(f"{above}{name}")
    yield f"{safe_id(stem)[: LONGEST_ID // 4]}-{_hash(name)}"
    yield f"{safe_id(stem)[: LONGEST_ID // 4]}-{_hash(path_key(path))}"


def _stem(path: Path) -> str:
    # the folder of a DICOM series may have dots in its name, but no suffix
    return path.stem if path.suffix.strip().lower() in SLIDE_SUFFIXES else path.name


def _is_moved(before: str, now: str) -> bool:
    """Tell whether a file seems to be one that was elsewhere, or a copy of it."""
    old, new = Path(before), Path(now)
    if old.name != new.name:
        return False
    try:
        return old.stat().st_size == new.stat().st_size
    except OSError:  # it is not there any more
        return True


def _safe(character: str) -> str:
    return character if character.isprintable() and character not in "/\\" else "_"


def _plain(text: str) -> str:
    return "/".join(safe_id(part) for part in text.replace("\\", "/").split("/"))


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _hash(text: str) -> str:
    return text_digest(text.encode(errors="surrogateescape").hex())[:_HASH]
