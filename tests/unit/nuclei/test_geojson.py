import json
import uuid
from pathlib import Path

import numpy as np
import pytest
from shapely import box
from shapely.geometry import shape

from wsikd.data.fields.field import FileField
from wsikd.geometry import Mpp, Region, Size
from wsikd.nuclei.geojson import feature_lines, gather_features, to_feature
from wsikd.nuclei.instances import Nucleus, find_instances
from wsikd.nuclei.objects import ObjectSettings

KNOWN, WHOLE, HALF = Mpp(0.25, 0.25), Size(100, 80), Size(50, 40)
SQUARE = Nucleus(3, 2, np.ones((10, 20), bool))


def place(slide_mpp=KNOWN, size=HALF):
    return FileField(
        slide_id="s1",
        region_id="region-000",
        box=Region(1000, 500, WHOLE),
        slide_mpp=slide_mpp,
        size=size,
        magnification=None,
        light=(240.0, 240.0, 240.0),
        path=Path("s1.svs"),
    )


def test_describes_a_detection_in_the_level_0_frame():
    feature = to_feature(SQUARE, place())
    # two level-0 pixels per pixel, from (1000, 500) on: 3 -> 1006 and 23 -> 1046, 2 -> 504 ...
    assert shape(feature["geometry"]).equals(box(1006, 504, 1046, 524))
    assert feature["properties"] == {
        "objectType": "detection",
        "classification": {"name": "Nucleus", "color": [40, 60, 180]},
        # 40 x 20 level-0 pixels of 0.25 µm; the circle of 50 µm² has a diameter of 7.979 µm
        "measurements": {"Area µm²": 50.0, "Diameter µm": 7.979},
    }
    assert uuid.UUID(feature["id"]).version == 5


def test_measures_in_pixels_where_the_resolution_is_unknown():
    feature = to_feature(SQUARE, place(None, WHOLE))
    assert feature["properties"]["measurements"] == {"Area px²": 200.0, "Diameter px": 15.958}


def test_a_hole_is_an_inner_ring():
    mask = np.ones((5, 5), bool)
    mask[1:3, 1:4] = False
    feature = to_feature(Nucleus(0, 0, mask), place(None, WHOLE))
    assert len(feature["geometry"]["coordinates"]) == 2
    assert shape(feature["geometry"]).area == 25 - 6


def test_has_an_id_that_depends_on_place_and_shape():
    moved = Nucleus(4, 2, SQUARE.mask)
    first, again, other = (to_feature(each, place())["id"] for each in (SQUARE, SQUARE, moved))
    assert first == again != other


@pytest.mark.parametrize("counts", [(), (0,), (2, 0, 3)])
def test_gathers_what_json_and_shapely_read(tmp_path, counts):
    drawn, parts, areas = np.random.default_rng(0), [], []
    for number, count in enumerate(counts):
        mask = np.kron(drawn.random((10, 13)) < 0.1 * count, np.ones((4, 4), bool))
        found = [
            nucleus
            for nuclei, _ in find_instances([mask], ObjectSettings(min_area_um2=0))
            for nucleus in nuclei
        ]
        parts.append(tmp_path / f"{number}.jsonl")
        parts[-1].write_text("".join(feature_lines(found, place(size=Size(52, 40)))))
        areas += [nucleus.area_px for nucleus in found]
    gather_features(parts, tmp_path / "s1.geojson")
    read = json.loads((tmp_path / "s1.geojson").read_text(encoding="utf-8"))
    assert set(read) == {"type", "features"}  # pixels have no crs
    outlines = [shape(feature["geometry"]) for feature in read["features"]]
    assert all(outline.is_valid for outline in outlines)
    pixel = 100 / 52 * 2  # level-0 px², rounded to hundredths
    assert [outline.area / pixel for outline in outlines] == pytest.approx(areas, rel=5e-3)
