"""The same slide under two names: by its pixels, and by its file where these cannot tell."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple

from wsikd.hashing import (
    files_fingerprint,
    pixels_differ,
    pixels_part,
    source_digest,
    source_files,
)


class KnownSlide(NamedTuple):
    """What tells a slide.

    Attributes
    ----------
    slide_id : str
        Its name.
    content : str
        Hash of the ends of its file, `source.sha256` of `slide.json`.
    pixels : str
        From `wsikd.store.digests.slide_digest`.
    path : Path
        Its file, which may be gone.
    """

    slide_id: str
    content: str
    pixels: str
    path: Path


class Copies(NamedTuple):
    """Two names of one slide; `equal` is what they have in common."""

    equal: Literal["pixels", "file"]
    first: KnownSlide
    second: KnownSlide


def find_copies(slides: Iterable[KnownSlide]) -> Iterator[Copies]:
    """Yield each two slides that are the same, in the order of their names.

    Notes
    -----
    Equal pixels are the same slide, whatever the files. Unequal ones that were made alike are not,
    whatever the ends of the files. Where pixels cannot tell, as of one colour or of other settings,
    the whole files do, if both are there, and else their ends.
    """
    known = sorted(slides)
    for equal in _groups(known, [slide.content for slide in known]):
        for first, second in combinations(equal, 2):
            if _is_one_file(first, second):
                yield Copies("file", first, second)
    for equal in _groups(known, [pixels_part(slide.pixels) for slide in known]):
        for first, second in combinations(equal, 2):
            if first.content != second.content or first.content == "":
                yield Copies("pixels", first, second)


def _groups(slides: list[KnownSlide], keys: list[str]) -> Iterable[list[KnownSlide]]:
    groups: dict[str, list[KnownSlide]] = defaultdict(list)
    for slide, key in zip(slides, keys, strict=True):
        if key:
            groups[key].append(slide)
    return groups.values()


def _is_one_file(first: KnownSlide, second: KnownSlide) -> bool:
    if pixels_part(first.pixels) == pixels_part(second.pixels) != "":
        return True
    if pixels_differ(first.pixels, second.pixels):
        return False
    both = _whole_file(first), _whole_file(second)
    return None in both or both[0] == both[1]


def _whole_file(slide: KnownSlide) -> str | None:
    """Hash all of a slide's file; None if it is gone, or is not the one that was prepared."""
    if not slide.path.name:  # not told, as of a table of patches
        return None
    try:
        is_it = files_fingerprint(source_files(slide.path)) == slide.content
        return source_digest(slide.path) if is_it else None
    except OSError:
        return None
