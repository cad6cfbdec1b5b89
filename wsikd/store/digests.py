"""What tells a slide by its pixels, whatever file it is in."""

import hashlib
import json
from pathlib import Path

import numpy as np

from wsikd.hashing import text_digest
from wsikd.store.arrays import read_strips
from wsikd.store.records import SlideRecord

_ROWS = 512  # read at once
_HOW = 8  # digits that tell how pixels were made


def slide_digest(folder: Path, record: SlideRecord) -> str:
    """Hash the pixels of all regions of a slide at the coarsest magnification they have.

    Returns
    -------
    str
        How the pixels were made, a colon, and the hash; see `wsikd.hashing.pixels_differ`. Empty
        for one colour, which shows nothing.

    Raises
    ------
    StoreError
        If a region is damaged.
    """
    found = hashlib.sha256()
    first, shows = None, False
    for region in record.regions:
        level = region.levels[-1]
        found.update(f"{level.magnification:g}x {region.width}x{region.height}\n".encode())
        for strip in read_strips(folder / record.image_name(region.region_id), level, _ROWS):
            first = strip[0, 0] if first is None else first
            shows = shows or bool((strip != first).any())
            found.update(np.ascontiguousarray(strip).tobytes())
    return f"{_made(record)}:{found.hexdigest()}" if shows else ""


def _made(record: SlideRecord) -> str:
    """Hash what the pixels of one file depend on: equal files that agree in it have equal ones."""
    settings = {key: value for key, value in record.settings.items() if key != "ngff"}
    magnifications = [region.levels[-1].magnification for region in record.regions]
    how = [settings, record.slide_format, record.reader, record.reader_version, magnifications]
    return text_digest(json.dumps(how, sort_keys=True))[:_HOW]
