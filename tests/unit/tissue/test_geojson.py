import json
import uuid

import pytest
from shapely import Polygon, box
from shapely.geometry import shape

from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.tissue import to_geojson

PLACE = Region(0, 0, Size(20, 20))
RING = TissueRegion(3, PLACE, box(0, 0, 20, 10) - box(5, 2, 10, 7))


def test_describes_a_locked_tissue_annotation():
    collection = to_geojson([RING], Mpp(0.5, 0.25))
    (feature,) = collection["features"]
    assert set(collection) == {"type", "features"}  # pixels have no crs
    assert feature["properties"] == {
        "objectType": "annotation",
        "name": "region-003",
        "classification": {"name": "Tissue", "color": [0, 160, 80]},
        "isLocked": True,
        # (20 x 10 - 5 x 5) pixels of 0.5 x 0.25 µm
        "measurements": {"Area µm²": pytest.approx(175 * 0.125)},
    }


def test_rings_are_closed_and_holes_are_inner():
    geometry = to_geojson([RING], Mpp(1.0, 1.0))["features"][0]["geometry"]
    assert geometry["type"] == "Polygon"
    assert len(geometry["coordinates"]) == 2
    assert all(ring[0] == ring[-1] for ring in geometry["coordinates"])


def test_survives_json_unchanged():
    collection = to_geojson([RING], Mpp(1.0, 1.0))
    read = json.loads(json.dumps(collection, allow_nan=False))
    assert shape(read["features"][0]["geometry"]).equals(RING.outline)


def test_ids_are_uuids_that_depend_on_the_shape_alone():
    moved = TissueRegion(3, PLACE, box(1, 0, 21, 10))
    first, again, other = (
        to_geojson([region], Mpp(1.0, 1.0))["features"][0]["id"] for region in (RING, RING, moved)
    )
    assert first == again != other
    assert uuid.UUID(first).version == 5


def test_mends_a_polygon_that_crosses_itself():
    bow_tie = TissueRegion(0, PLACE, Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]))
    feature = to_geojson([bow_tie], Mpp(1.0, 1.0))["features"][0]
    assert shape(feature["geometry"]).is_valid
    assert feature["properties"]["measurements"]["Area µm²"] == pytest.approx(50)
