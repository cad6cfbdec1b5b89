"""Regions on disk: one ordinary OME-Zarr image per tissue region, so that any viewer opens it.

`regions/<slide_id>/` holds `region-000.ome.zarr` and so on, `tissue.geojson`, `thumbnail.png` and
`slide.json`. The folder is made under a temporary name and renamed when all of it is on disk, so a
slide is there whole or not at all. A picture that is one region as it is has `region-000.ozx`, that
image in one file, and `slide.json` alone. docs/formats.md is the specification.
"""

from wsikd.store.checksums import CHECKSUMS, find_changes
from wsikd.store.copies import KnownSlide, find_copies
from wsikd.store.ome import NgffVersion
from wsikd.store.reading import RegionStore, find_damage
from wsikd.store.records import (
    PICTURE_VERSION,
    THUMBNAIL_SIDE,
    DamageRecord,
    LevelRecord,
    RegionRecord,
    SlideRecord,
    Source,
    read_record,
)
from wsikd.store.writing import SlideWriter, fits_archive

__all__ = [
    "CHECKSUMS",
    "PICTURE_VERSION",
    "THUMBNAIL_SIDE",
    "DamageRecord",
    "KnownSlide",
    "LevelRecord",
    "NgffVersion",
    "RegionRecord",
    "RegionStore",
    "SlideRecord",
    "SlideWriter",
    "Source",
    "find_changes",
    "find_copies",
    "find_damage",
    "fits_archive",
    "read_record",
]
