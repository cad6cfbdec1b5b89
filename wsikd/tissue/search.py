"""From an open slide to numbered pieces of tissue with their boxes."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from wsikd.errors import NoTissueError
from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.pyramid.strips import read_overview
from wsikd.tissue.settings import TissueSettings
from wsikd.tissue.stain import glass_colour, label_pieces
from wsikd.tissue.tissueloc import label_like_tissueloc, read_small_level

if TYPE_CHECKING:
    from wsikd.slides.reader import SlideReader
    from wsikd.tissue.outlines import Outline


def find_tissue(reader: "SlideReader", mpp: Mpp, settings: TissueSettings) -> list[TissueRegion]:
    """Find the pieces of tissue on a slide.

    Parameters
    ----------
    reader : SlideReader
        Open slide.
    mpp : Mpp
        µm per level-0 pixel.
    settings : TissueSettings
        How tissue is found.

    Returns
    -------
    list of TissueRegion
        In the level-0 frame, from top to bottom.

    Raises
    ------
    NotBrightfieldError
        If the background is dark.
    NoTissueError
        If nothing on the slide is tissue.
    """
    if settings.method == "whole":
        return _whole(Region(0, 0, reader.size), mpp, settings)
    pieces = sorted(_find_pieces(reader, mpp, settings), key=lambda piece: piece.bounds[1::-1])
    if not pieces:
        raise NoTissueError(f"{reader.path}: no tissue was found; {_remedy(settings)}")
    placed = [place for piece in pieces for place in _place(piece, reader.size, mpp, settings)]
    return [TissueRegion(index, box, outline) for index, (box, outline) in enumerate(placed)]


def _whole(box: Region, mpp: Mpp, settings: TissueSettings) -> list[TissueRegion]:
    from wsikd.tissue.outlines import edge_of  # noqa: PLC0415

    side = settings.max_side_um
    cells = [box] if side is None else _cells(box, mpp, side)
    return [TissueRegion(index, cell, edge_of(cell)) for index, cell in enumerate(cells)]


def _find_pieces(reader: "SlideReader", mpp: Mpp, settings: TissueSettings) -> "Sequence[Outline]":
    from wsikd.tissue.outlines import gather_crumbs, trace_outlines  # noqa: PLC0415

    published = settings.method == "tissueloc"
    pixels, scale = (
        read_small_level(reader) if published else read_overview(reader, mpp, settings.mpp)
    )
    glass = glass_colour(pixels, reader.path)
    if published:
        return trace_outlines(label_like_tissueloc(pixels, settings.tissueloc_threshold), scale)
    pixel_mpp = Mpp(mpp.x * scale[0], mpp.y * scale[1])
    labels = label_pieces(pixels, glass, pixel_mpp, settings)
    return gather_crumbs(trace_outlines(labels, scale))


def _remedy(settings: TissueSettings) -> str:
    if settings.method == "tissueloc":
        return f"raise tissue.tissueloc_threshold, now {settings.tissueloc_threshold:g}"
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
