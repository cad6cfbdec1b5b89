"""Find the pieces of tissue on a slide.

`search` holds `find_tissue`. The method `wsikd` is `glass` (what tissue lies on), `light` (which
pixels are tissue), `marks` (which are pen or an edge) and `stain` (pixels to pieces); `tissueloc`
is the other one, and `masks` reads a user's own. `outlines` turns pieces into polygons and
`geojson` writes those for QuPath.
"""

from wsikd.tissue.geojson import to_geojson
from wsikd.tissue.search import FoundTissue, find_tissue, search_tissue
from wsikd.tissue.settings import TissueSettings

__all__ = ["FoundTissue", "TissueSettings", "find_tissue", "search_tissue", "to_geojson"]
