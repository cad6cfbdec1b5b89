"""From an open slide to numbered pieces of tissue with their boxes."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wsikd.errors import NoTissueError
from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.pyramid.strips import read_overview
from wsikd.tissue.glass import find_ground, glass_colour
from wsikd.tissue.light import sort_pixels
from wsikd.tissue.settings import TissueSettings
from wsikd.tissue.stain import label_pieces
from wsikd.tissue.tissueloc import label_like_tissueloc, read_small_level

if TYPE_CHECKING:
    from wsikd.slides.reader import SlideReader
    from wsikd.tissue.outlines import Outline

_SETTING_OF = {"green ink": "drop_green_ink", "black border": None}  # of what is left out
_LEAST_MM2 = 0.05  # of a border that is worth a word


class FoundTissue(NamedTuple):
    """The pieces of tissue on a slide, and what a user should know of how they were found.

    Attributes
    ----------
    regions : list of TissueRegion
        In the level-0 frame, from top to bottom.
    warnings : tuple of str
        What looked like tissue and was left out.
    """

    regions: list[TissueRegion]
    warnings: tuple[str, ...]


def find_tissue(reader: "SlideReader", mpp: Mpp, settings: TissueSettings) -> list[TissueRegion]:
    """Find the pieces of tissue on a slide: the regions of `search_tissue`."""
    return search_tissue(reader, mpp, settings).regions


def search_tissue(
    reader: "SlideReader", mpp: Mpp, settings: TissueSettings, *, mask_path: Path | None = None
) -> FoundTissue:
    """Find the pieces of tissue on a slide, or take them from a user's own mask.

    Parameters
    ----------
    reader : SlideReader
        Open slide.
    mpp : Mpp
        µm per level-0 pixel.
    settings : TissueSettings
        How tissue is found.
    mask_path : Path, optional
        Mask of the whole slide (PNG), or its tissue as GeoJSON; nothing is searched then.

    Raises
    ------
    NotBrightfieldError
        If the background is dark.
    NoTissueError
        If nothing on the slide is tissue.
    MaskError
        If the mask cannot be read or does not fit the slide.
    """
    if mask_path is not None:
        from wsikd.tissue.masks import read_mask  # noqa: PLC0415

        pieces: Sequence[Outline] = read_mask(mask_path, reader.size)
        left_out: dict[str, float] = {}
    elif settings.method == "whole":
        return FoundTissue(_whole(Region(0, 0, reader.size), mpp, settings), ())
    else:
        pieces, left_out = _find_pieces(reader, mpp, settings)
    if not pieces:
        raise NoTissueError(f"{reader.path}: no tissue was found; {_remedy(settings, left_out)}")
    pieces = sorted(pieces, key=lambda piece: piece.bounds[1::-1])
    placed = [place for piece in pieces for place in _place(piece, reader.size, mpp, settings)]
    regions = [TissueRegion(index, box, outline) for index, (box, outline) in enumerate(placed)]
    return FoundTissue(regions, tuple(map(_describe, left_out.items())))


def _whole(box: Region, mpp: Mpp, settings: TissueSettings) -> list[TissueRegion]:
    from wsikd.tissue.outlines import edge_of  # noqa: PLC0415

    side = settings.max_side_um
    cells = [box] if side is None else _cells(box, mpp, side)
    return [TissueRegion(index, cell, edge_of(cell)) for index, cell in enumerate(cells)]


def _find_pieces(
    reader: "SlideReader", mpp: Mpp, settings: TissueSettings
) -> "tuple[Sequence[Outline], dict[str, float]]":
    """Return the pieces, and how many mm² of what was left out."""
    from wsikd.tissue.outlines import gather_crumbs, trace_outlines  # noqa: PLC0415

    if settings.method == "tissueloc":
        pixels, scale = read_small_level(reader)
        glass_colour(pixels, reader.path)  # refuses a dark background
        labels = label_like_tissueloc(pixels, settings.tissueloc_threshold)
        return trace_outlines(labels, scale), {}
    pixels, scale = read_overview(reader, mpp, settings.mpp)
    pixel_mpp = Mpp(mpp.x * scale[0], mpp.y * scale[1])
    unscanned = reader.find_unscanned(Size(pixels.shape[1], pixels.shape[0]))
    ground = find_ground(pixels, unscanned, reader.path, pixel_mpp)
    tissue, halo, marks = sort_pixels(pixels, ground, pixel_mpp, settings)
    barred = marks.left_out | ground.nothing
    labels = label_pieces(tissue, halo, barred, pixel_mpp, settings)
    border = float(ground.black.sum()) * pixel_mpp.x * pixel_mpp.y / 1e6
    left_out = {"black border": border} if border >= _LEAST_MM2 else {}
    return gather_crumbs(trace_outlines(labels, scale)), {**left_out, **marks.areas_mm2}


def _describe(item: tuple[str, float]) -> str:
    name, area = item
    setting = _SETTING_OF.get(name, "drop_other_ink" if name.endswith("ink") else "drop_lines")
    remedy = "" if setting is None else f", set tissue.{setting} to false to keep it"
    return f"{area:.2g} mm² of {name} left out{remedy}"


def _remedy(settings: TissueSettings, left_out: dict[str, float]) -> str:
    if settings.method == "tissueloc":
        return f"raise tissue.tissueloc_threshold, now {settings.tissueloc_threshold:g}"
    marks = [_describe(item) for item in left_out.items() if item[0] != "black border"]
    if marks:
        return " and ".join(marks)
    return (
        f"lower tissue.min_area_mm2, now {settings.min_area_mm2:g}, "
        f"or tissue.min_stain, now {settings.min_stain:g}"
    )


def _place(
    piece: "Outline", limit: Size, mpp: Mpp, settings: TissueSettings
) -> "list[tuple[Region, Outline]]":
    from wsikd.tissue.outlines import cut  # noqa: PLC0415

    box = _box(piece, limit, mpp, 0.0 if settings.method == "tissueloc" else settings.padding_um)
    if settings.max_side_um is None:
        return [(box, piece)]
    return cut(piece, _cells(box, mpp, settings.max_side_um))


def _box(outline: "Outline", limit: Size, mpp: Mpp, padding_um: float) -> Region:
    left, top, right, bottom = outline.bounds
    pad_x, pad_y = padding_um / mpp.x, padding_um / mpp.y
    x, y = max(0, math.floor(left - pad_x)), max(0, math.floor(top - pad_y))
    right = min(limit.width, math.ceil(right + pad_x))
    bottom = min(limit.height, math.ceil(bottom + pad_y))
    return Region(x, y, Size(right - x, bottom - y))


def _cells(box: Region, mpp: Mpp, max_side_um: float) -> list[Region]:
    """Divide a box into the fewest equal boxes with no side longer than allowed."""
    x = _edges(box.x, box.size.width, max_side_um / mpp.x)
    y = _edges(box.y, box.size.height, max_side_um / mpp.y)
    return [
        Region(left, top, Size(right - left, bottom - top))
        for top, bottom in pairwise(y)
        for left, right in pairwise(x)
    ]


def _edges(start: int, length: int, longest: float) -> list[int]:
    count = min(length, math.ceil(length / longest))
    return [start + length * step // count for step in range(count + 1)]
