"""Pieces of tissue as GeoJSON that QuPath imports."""

import uuid
from collections.abc import Iterable
from typing import Any

from wsikd.geometry import Mpp, TissueRegion

_COLOUR = [0, 160, 80]
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "tissue.wsikd")


def to_geojson(regions: Iterable[TissueRegion], mpp: Mpp) -> dict[str, Any]:
    """Describe the pieces as a FeatureCollection of QuPath annotations.

    Parameters
    ----------
    regions : iterable of TissueRegion
        Pieces in the level-0 frame.
    mpp : Mpp
        µm per level-0 pixel.

    Returns
    -------
    dict
        Coordinates are level-0 pixels, y down; there is no `crs`, as pixels have none. The ids are
        made from the shapes, so equal pieces have equal ids.
    """
    return {
        "type": "FeatureCollection",
        "features": [_to_feature(region, mpp) for region in regions],
    }


def _to_feature(region: TissueRegion, mpp: Mpp) -> dict[str, Any]:
    from shapely import make_valid  # noqa: PLC0415
    from shapely.geometry import mapping  # noqa: PLC0415

    from wsikd.tissue.outlines import polygons_of  # noqa: PLC0415

    outline = polygons_of(make_valid(region.outline))
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, f"{region.region_id} {outline.wkt}")),
        "geometry": mapping(outline),
        "properties": {
            "objectType": "annotation",
            "name": region.region_id,
            "classification": {"name": "Tissue", "color": _COLOUR},
            "isLocked": True,
            "measurements": {"Area µm²": outline.area * mpp.x * mpp.y},
        },
    }
