"""The search on drawn slides, whose true outlines are known."""

import pytest
from shapely import unary_union

from wsikd.drawn.slides import CLASSES, DrawSettings, draw_slide
from wsikd.slides import open_slide, resolution_of
from wsikd.tissue import TissueSettings, search_tissue


@pytest.mark.parametrize("index", range(len(CLASSES)), ids=CLASSES)
def test_outlines_are_those_drawn_at_any_resolution_of_the_search(tmp_path, index):
    path = tmp_path / "s.svs"
    pieces = draw_slide(path, CLASSES[index], DrawSettings(mpp=2.0), index=index)
    drawn = unary_union(pieces)
    with open_slide(path) as slide:
        for mpp in (8.0, 4.0, 2.0):
            found = search_tissue(slide, resolution_of(slide).mpp, TissueSettings(mpp=mpp))
            outlines = unary_union([region.outline for region in found.regions])
            assert (len(found.regions), found.warnings) == (len(pieces), ())
            assert outlines.intersection(drawn).area / outlines.union(drawn).area >= 0.95
