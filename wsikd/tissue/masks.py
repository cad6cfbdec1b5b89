"""Tissue that a user has marked: a mask of the whole slide, or outlines as QuPath exports them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from wsikd.errors import MaskError
from wsikd.geometry import Size

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from wsikd.tissue.outlines import Outline

_OTHER_SHAPE = 0.02  # of a mask's height may differ from the slide's shape, or a pixel and a half
_AREAS = ("Polygon", "MultiPolygon")


def read_mask(path: Path, slide: Size) -> "list[Outline]":
    """Read the tissue that a user has marked on a slide.

    Parameters
    ----------
    path : Path
        A picture of the whole slide at any scale, where everything but black (0) is tissue and
        each connected part is one piece; or GeoJSON in level-0 pixels, where each feature is one,
        those that overlap together, and those that QuPath is told to ignore none.
    slide : Size
        Size of the slide's level 0.

    Returns
    -------
    list of Polygon or MultiPolygon
        In level-0 pixels, none outside of the slide.

    Raises
    ------
    MaskError
        If the file is missing, neither kind, of another shape than the slide, or marks nothing.
    """
    is_json = path.suffix.lower() in (".geojson", ".json")
    try:
        pieces = _read_geojson(path, slide) if is_json else _read_picture(path, slide)
    except FileNotFoundError:
        raise MaskError(f"{path}: no such file; correct mask_path in the manifest") from None
    if not pieces:
        raise MaskError(f"{path}: marks no area on the slide; mark its tissue, or leave it out")
    return pieces


def _read_picture(path: Path, slide: Size) -> "list[Outline]":
    from wsikd.tissue.outlines import trace_outlines  # noqa: PLC0415

    mask = _open_picture(path)
    height, width = mask.shape
    expected = width * slide.height / slide.width
    if abs(height - expected) > max(1.5, _OTHER_SHAPE * expected):
        raise MaskError(
            f"{path}: must have the shape of its slide of {slide.width}x{slide.height} pixels, is "
            f"{width}x{height}; make it of the whole slide"
        )
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    return list(trace_outlines(labels, (slide.width / width, slide.height / height)))


def _open_picture(path: Path) -> NDArray[np.bool_]:
    try:
        with Image.open(path) as image:
            if image.format == "JPEG":
                raise MaskError(
                    f"{path}: must be a PNG picture or GeoJSON, is JPEG, in which black is not "
                    "exact; save it as PNG"
                )
            # a palette's indices are no brightness
            shown = image.convert("RGBA") if image.mode in ("P", "PA") else image
            values: NDArray[Any] = np.asarray(shown)
            transparent = shown.mode in ("LA", "RGBA")
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise MaskError(
            f"{path}: must be a PNG picture or GeoJSON of at most "
            f"{2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; {error}"
        ) from None
    marked: NDArray[np.bool_] = values != 0
    if marked.ndim == 2:
        return marked
    opaque: NDArray[np.bool_] = marked[..., -1]
    coloured: NDArray[np.bool_] = (marked[..., :-1] if transparent else marked).max(axis=2)
    return coloured & opaque if transparent else coloured


def _read_geojson(path: Path, slide: Size) -> "list[Outline]":
    from shapely import box  # noqa: PLC0415

    from wsikd.tissue.outlines import polygons_of  # noqa: PLC0415

    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise MaskError(f"{path}: must be GeoJSON; {error}") from None
    whole = box(0, 0, *slide)
    pieces = []
    for number, feature in enumerate(_features_of(path, content), start=1):
        outline = polygons_of(_shape_of(path, number, feature).intersection(whole))
        if not outline.is_empty and not _is_ignored(feature):
            pieces.append(outline)
    return _joined(pieces)


def _is_ignored(feature: dict[str, Any]) -> bool:
    """Tell whether a feature is of a class that QuPath takes for no object, such as `Ignore*`."""
    of_class = (feature.get("properties") or {}).get("classification") or {}
    return isinstance(of_class, dict) and str(of_class.get("name", "")).endswith("*")


def _joined(pieces: "list[Outline]") -> "list[Outline]":
    """Put those together that overlap, as their pixels are those of one region."""
    from shapely import STRtree, area, intersection, unary_union  # noqa: PLC0415

    from wsikd.tissue.outlines import polygons_of  # noqa: PLC0415

    if len(pieces) < 2:
        return pieces
    each = np.array(pieces, dtype=object)
    one, other = STRtree(pieces).query(pieces, predicate="intersects")
    overlap = area(intersection(each[one], each[other])) > 0  # more than a common border
    links = coo_array((overlap[overlap], (one[overlap], other[overlap])), (len(each), len(each)))
    _, groups = connected_components(links, directed=False)
    members = [each[groups == group] for group in dict.fromkeys(groups.tolist())]
    return [some[0] if len(some) == 1 else polygons_of(unary_union(some)) for some in members]


def _features_of(path: Path, content: Any) -> list[Any]:
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features")
    elif isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    if not isinstance(content, list):
        raise MaskError(
            f"{path}: must be a FeatureCollection or a list of features; export the annotations "
            "as GeoJSON"
        )
    return content


def _shape_of(path: Path, number: int, feature: Any) -> "BaseGeometry":
    from shapely import GEOSException, make_valid  # noqa: PLC0415
    from shapely.geometry import shape  # noqa: PLC0415

    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(geometry, dict) or kind not in _AREAS:
        raise MaskError(
            f"{path}: feature {number} must be a Polygon or MultiPolygon, is {kind}; export areas "
            "alone"
        )
    try:
        return make_valid(shape(geometry))
    except (GEOSException, KeyError, TypeError, ValueError, IndexError) as error:
        raise MaskError(f"{path}: feature {number} has no usable coordinates; {error}") from None
