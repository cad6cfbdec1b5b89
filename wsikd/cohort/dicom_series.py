"""Which DICOM files are one slide: those of one series."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

_SERIES = re.compile(  # the one after StudyInstanceUID is the file's own, others are referred to
    rb"\x20\0\x0d\0(?:UI..|.{4})[\d.\0 ]+\x20\0\x0e\0(?:UI..|.{4})([\d.]+)", re.DOTALL
)
_HEADER_BYTES = 2**16  # the series is told far in front


def by_series(files: Sequence[Path]) -> tuple[list[list[Path]], list[Path]]:
    """Group DICOM files by series, the largest of each first, and list those that tell none."""
    series: dict[bytes, list[Path]] = defaultdict(list)
    untold: list[Path] = []
    for file in files:
        uid = _series_of(file)
        (untold if uid is None else series[uid]).append(file)
    largest_first = (
        sorted(group, key=lambda file: file.stat().st_size, reverse=True)
        for group in series.values()
    )
    return list(largest_first), untold


def _series_of(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            found = _SERIES.search(opened.read(_HEADER_BYTES))
    except OSError:
        return None
    return found[1] if found else None
