import json

import numpy as np
import pytest
from PIL import Image
from shapely import Point

from wsikd.errors import MaskError
from wsikd.geometry import Mpp, Size
from wsikd.slides import ArrayReader
from wsikd.tissue import TissueSettings, search_tissue
from wsikd.tissue.masks import read_mask

SLIDE = Size(1000, 600)
SQUARE = [[100, 100], [300, 100], [300, 300], [100, 300], [100, 100]]
HOLE = [[150, 150], [250, 150], [250, 250], [150, 250], [150, 150]]
TRIANGLE = [[600, 100], [900, 100], [600, 500], [600, 100]]


def feature(kind, coordinates):
    """Write a feature as QuPath 0.6 exports it."""
    return {
        "type": "Feature",
        "id": "8a6b0f0e-6a3c-4b0c-9a3f-2f6d1f0c1c11",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation", "name": "Tissue"},
    }


def write(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


FEATURES = [
    feature("Polygon", [SQUARE, HOLE]),
    feature("MultiPolygon", [[TRIANGLE], [[[950, 0], [980, 0], [980, 30], [950, 0]]]]),
]


@pytest.mark.parametrize(
    "content", [{"type": "FeatureCollection", "features": FEATURES}, FEATURES], ids=["set", "list"]
)
def test_every_feature_is_one_piece_with_its_holes(tmp_path, content):
    square, triangle = read_mask(write(tmp_path / "m.geojson", content), SLIDE)
    assert square.area == 200 * 200 - 100 * 100
    assert triangle.area == 300 * 400 / 2 + 30 * 30 / 2


def test_a_feature_may_stand_alone_and_is_cut_at_the_slide(tmp_path):
    beyond = [[900, 500], [1100, 500], [1100, 700], [900, 700], [900, 500]]
    (piece,) = read_mask(write(tmp_path / "m.json", feature("Polygon", [beyond])), SLIDE)
    assert piece.bounds == (900, 500, 1000, 600)


@pytest.mark.parametrize("scale", [1, 10, 7])
def test_each_part_of_a_picture_is_one_piece_at_any_scale(tmp_path, scale):
    rows, columns = np.mgrid[: round(600 / scale), : round(1000 / scale)] * scale
    mask = (np.hypot(rows - 200, columns - 250) < 150) | (columns > 800)
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "m.png")
    band, disc = sorted(read_mask(tmp_path / "m.png", SLIDE), key=lambda piece: -piece.area)
    # within a pixel of the mask along the border
    assert disc.symmetric_difference(Point(250, 200).buffer(150)).area < scale * disc.length
    assert band.bounds == pytest.approx((800, 0, 1000, 600), abs=1.5 * scale)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_whatever_is_not_black_is_marked(tmp_path, mode):
    mask = np.zeros((60, 100), np.uint8)
    mask[10:30, 20:50] = 1
    if mode == "I;16":
        image = Image.fromarray(mask.astype(np.uint16) * 300)
    elif mode == "P":
        image = Image.fromarray(mask, "L").convert("P")
    else:
        image = Image.fromarray(mask * 255).convert(mode)
    image.save(tmp_path / "m.png")
    (piece,) = read_mask(tmp_path / "m.png", SLIDE)
    # pixels of 10; each corner is cut by at most half a pixel
    assert piece.area == pytest.approx(300 * 200, rel=0.01)


def test_a_mask_wins_over_the_search_whatever_its_size_or_darkness(tmp_path):
    pixels = np.zeros((600, 1000, 3), np.uint8)  # would be refused as dark
    path = write(tmp_path / "m.geojson", FEATURES)
    found = search_tissue(
        ArrayReader(pixels), Mpp(0.25, 0.25), TissueSettings(padding_um=0), mask_path=path
    )
    assert [region.box.x for region in found.regions] == [600, 100]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"type": "Polygon"}, r"must be a FeatureCollection or a list of features; export"),
        ([feature("Point", [1, 2])], "feature 1 must be a Polygon or MultiPolygon, is Point; "),
        ([FEATURES[0], {}], "feature 2 must be a Polygon or MultiPolygon, is None; "),
        ([feature("Polygon", [[[1, 2]]])], "feature 1 has no usable coordinates; "),
        ([], "marks no area on the slide; mark its tissue, or leave it out$"),
    ],
)
def test_refuses_what_marks_no_areas(tmp_path, content, message):
    path = write(tmp_path / "m.geojson", content)
    with pytest.raises(MaskError, match=message):
        read_mask(path, SLIDE)


def test_refuses_a_mask_of_another_slide(tmp_path):
    Image.new("L", (100, 80), 255).save(tmp_path / "m.png")
    with pytest.raises(MaskError, match=r"slide of 1000x600 pixels, is 100x80; make it of the"):
        read_mask(tmp_path / "m.png", SLIDE)


def test_refuses_files_that_are_neither(tmp_path):
    (tmp_path / "m.png").write_text("text")
    (tmp_path / "m.geojson").write_text("{")
    with pytest.raises(MaskError, match=r"m\.png: must be a PNG picture or GeoJSON"):
        read_mask(tmp_path / "m.png", SLIDE)
    with pytest.raises(MaskError, match=r"m\.geojson: must be GeoJSON; "):
        read_mask(tmp_path / "m.geojson", SLIDE)
    with pytest.raises(MaskError, match=r"none\.png: no such file; correct mask_path"):
        read_mask(tmp_path / "none.png", SLIDE)


def test_a_palette_picture_is_read_by_its_colours(tmp_path):
    indices = np.ones((60, 100), np.uint8)
    indices[10:30, 10:30] = 0
    picture = Image.fromarray(indices, "P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(tmp_path / "m.png")
    (piece,) = read_mask(tmp_path / "m.png", SLIDE)
    assert piece.bounds == (100, 100, 300, 300)


def test_a_jpeg_is_refused_as_its_black_is_not_exact(tmp_path):
    Image.new("L", (100, 60), 255).save(tmp_path / "m.jpg")
    with pytest.raises(MaskError, match=r"m\.jpg: must be a PNG picture or GeoJSON, is JPEG"):
        read_mask(tmp_path / "m.jpg", SLIDE)


def test_features_that_overlap_are_one_piece_and_ignored_ones_are_none(tmp_path):
    inside = {**feature("Polygon", [HOLE])}
    inside["properties"] = {"classification": {"name": "Ignore*"}}
    beside = [[200, 200], [400, 200], [400, 400], [200, 400], [200, 200]]
    path = write(tmp_path / "m.geojson", [feature("Polygon", [SQUARE]), inside])
    (piece,) = read_mask(path, SLIDE)
    assert piece.area == 200 * 200
    pair = [feature("Polygon", [SQUARE]), feature("Polygon", [TRIANGLE])]
    path = write(tmp_path / "m.geojson", [*pair, feature("Polygon", [beside])])
    triangle, joined = sorted(read_mask(path, SLIDE), key=lambda piece: piece.area)
    assert (triangle.area, joined.area) == (300 * 400 / 2, 2 * 200 * 200 - 100 * 100)
