"""Small pictures of slides with the outlines of their tissue, kept so that they are made once.

`regions/.thumbnails/` holds one JPEG per slide. It MAY be removed at any time.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from shapely import LineString

from wsikd.errors import StoreError
from wsikd.geometry import Size
from wsikd.store import RegionStore

_QUALITY = 78
_THREADS = 4  # Pillow lets others work while it reads and writes
_ENDS = (b"\xff\xd8", b"\xff\xd9")  # of a JPEG
_STEPS = 2  # of an outline's grid, per pixel
_TOLERANCE = 0.7  # of these steps, which no eye sees


class Thumbnail(NamedTuple):
    """A small picture of a slide.

    Attributes
    ----------
    jpeg : bytes
        The picture.
    size : Size
        Its size.
    """

    jpeg: bytes
    size: Size


class Contour(NamedTuple):
    """The border of a piece of tissue.

    Attributes
    ----------
    name : str
        Of the region.
    path : str
        In the words of SVG, in half pixels of the thumbnail.
    """

    name: str
    path: str


def small_thumbnails(
    store: RegionStore, slide_ids: Sequence[str], side: int
) -> dict[str, Thumbnail]:
    """Read small pictures of slides, making those that are missing or of an older slide.

    Parameters
    ----------
    store : RegionStore
        Holds the slides.
    slide_ids : sequence of str
        The slides; those whose picture is damaged are left out.
    side : int
        The longer side of a small picture, in pixels.
    """

    def read(slide_id: str) -> Thumbnail | None:
        with suppress(StoreError, OSError):  # it is said elsewhere that the slide is damaged
            return _small_thumbnail(store, slide_id, side)
        return None

    with ThreadPoolExecutor(_THREADS) as threads:
        made = zip(slide_ids, threads.map(read, slide_ids), strict=True)
        return {slide_id: small for slide_id, small in made if small is not None}


def contours(outlines: dict[str, Any], slide: Size, thumbnail: Size) -> list[Contour]:
    """Bring the outlines of a slide's tissue to its thumbnail; what is under a pixel is left out.

    Parameters
    ----------
    outlines : dict
        GeoJSON, as `RegionStore.read_outlines` returns it.
    slide, thumbnail : Size
        Of level 0 and of the picture.

    Examples
    --------
    >>> ring = [[0, 0], [90, 0], [90, 50], [0, 50], [0, 0]]
    >>> piece = {"type": "Polygon", "coordinates": [ring]}
    >>> named = {"geometry": piece, "properties": {"name": "region-000"}}
    >>> contours({"features": [named]}, Size(100, 100), Size(10, 10))
    [Contour(name='region-000', path='M0 0L18 0L18 10L0 10Z')]
    """
    scale = _STEPS * np.array(thumbnail) / np.array(slide)
    found = []
    for feature in outlines["features"]:
        rings = _rings(feature["geometry"])
        path = "".join(_path(np.array(ring)[:, :2] * scale) for ring in rings)
        if path:
            found.append(Contour(str(feature["properties"].get("name", "")), path))
    return found


def _small_thumbnail(store: RegionStore, slide_id: str, side: int) -> Thumbnail:
    made_of = (store.path / slide_id / "slide.json").stat()
    path = store.path / ".thumbnails" / str(side) / f"{slide_id}.jpg"
    jpeg = b""
    with suppress(OSError):
        if path.stat().st_mtime_ns == made_of.st_mtime_ns:
            jpeg = path.read_bytes()
    if not (jpeg.startswith(_ENDS[0]) and jpeg.endswith(_ENDS[1])):  # a crash may cut it short
        jpeg = _shrink(Image.fromarray(store.read_thumbnail(slide_id)), side)
        _keep(path, jpeg, made_of)
    with Image.open(BytesIO(jpeg)) as image:
        return Thumbnail(jpeg, Size(*image.size))


def _shrink(image: Image.Image, side: int) -> bytes:
    image.thumbnail((side, side))
    with BytesIO() as written:
        image.save(written, "JPEG", quality=_QUALITY, optimize=True)
        return written.getvalue()


def _keep(path: Path, jpeg: bytes, made_of: os.stat_result) -> None:
    """Keep a picture, where that can be done: not flushed to disk, as it can be made again."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(jpeg)
        os.utime(temporary, ns=(made_of.st_atime_ns, made_of.st_mtime_ns))
        temporary.replace(path)


def _rings(geometry: dict[str, Any]) -> Iterator[Sequence[Any]]:
    """Yield the rings of a GeoJSON Polygon or MultiPolygon."""
    polygons: Iterable[Any] = geometry["coordinates"]
    for polygon in [polygons] if geometry["type"] == "Polygon" else polygons:
        yield from polygon


def _path(ring: np.ndarray) -> str:
    """Write a closed ring on the grid, by few points; nothing if it is within a pixel."""
    kept = LineString(ring).simplify(_TOLERANCE, preserve_topology=False)
    points = np.rint(kept.coords).astype(int)[:-1]
    if len(points) < 3 or np.ptp(ring, axis=0).max() < _STEPS:
        return ""
    return "M" + "L".join(f"{x} {y}" for x, y in points) + "Z"
