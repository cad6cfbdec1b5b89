"""Find the pieces of tissue on a slide.

`search` holds `find_tissue`; `stain` and `tissueloc` are the two methods; `outlines`
turns their masks into polygons and `geojson` writes those for QuPath.
"""

from wsikd.tissue.geojson import to_geojson
from wsikd.tissue.search import find_tissue
from wsikd.tissue.settings import TissueSettings

__all__ = ["TissueSettings", "find_tissue", "to_geojson"]
