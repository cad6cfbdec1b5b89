"""Pictures in the store: one region, one file."""

import json

import numpy as np
import pytest
from shapely import box as rectangle

from tests.builders import slide_record
from wsikd.errors import StoreError
from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, plan_levels
from wsikd.pyramid.resample import resample
from wsikd.slides import ArrayReader
from wsikd.store import RegionStore, SlideWriter, find_damage, fits_archive
from wsikd.tissue import to_geojson

MPP = Mpp(0.5, 0.25)
SIZE = Size(600, 1300)


@pytest.fixture
def picture():
    return np.random.default_rng(3).integers(0, 256, (SIZE.height, SIZE.width, 3), np.uint8)


def write(store, picture, *, version=2, magnifications=(20, 10, 1.25)):
    """Write a picture whole, as a picture or as a slide; return its region."""
    size = Size(picture.shape[1], picture.shape[0])
    region = TissueRegion(0, Region(0, 0, size), rectangle(0, 0, *size))
    levels = plan_levels(size, MPP, PyramidSettings(magnifications=magnifications))
    writer = SlideWriter(store, "p1")
    with ArrayReader(picture) as slide:
        rows = build_pyramid(slide, region.box, levels)
        written = writer.write_region(region, MPP, levels, rows, archived=version == 2)
    record = slide_record("p1", (written,), size, MPP, version=version)
    overview = () if version == 2 else (to_geojson([region], MPP), picture[::4, ::4])
    writer.commit(record, *overview)
    return region


@pytest.fixture
def store(tmp_path, picture):
    write(tmp_path, picture)
    return RegionStore(tmp_path)


def test_a_picture_is_one_image_and_its_record(store):
    assert sorted(path.name for path in store.path.iterdir()) == ["p1"]
    names = sorted(path.name for path in (store.path / "p1").iterdir())
    assert names == ["region-000.ozx", "slide.json"]


def test_its_record_says_that_regions_are_files(store):
    document = json.loads((store.path / "p1" / "slide.json").read_text())
    assert (document["format"], document["version"]) == ("wsikd-regions", 2)
    assert store.image_path("p1", "region-000") == store.path / "p1" / "region-000.ozx"


def test_every_magnification_comes_back_as_it_was_made(store, picture):
    for magnification, size in ((20, (600, 650)), (10, (300, 325)), (1.25, (38, 41))):
        stored = store.read_pixels("p1", "region-000", magnification)
        np.testing.assert_array_equal(stored, resample(picture, Size(*size)))


def test_a_picture_and_a_slide_of_one_content_have_one_record_but_for_its_version(
    tmp_path, store, picture
):
    write(tmp_path / "slides", picture, version=1)
    slides = RegionStore(tmp_path / "slides")
    as_slide, as_picture = slides.read_slide("p1"), store.read_slide("p1")
    assert as_slide.model_dump() == {**as_picture.model_dump(), "version": 1}
    assert slides.read_digest("p1") == store.read_digest("p1") != ""


def test_the_outline_of_a_picture_is_its_edge(tmp_path, store, picture):
    region = write(tmp_path / "slides", picture, version=1)
    (feature,) = store.read_outlines("p1")["features"]
    (as_slide,) = RegionStore(tmp_path / "slides").read_outlines("p1")["features"]
    assert feature["properties"]["name"] == as_slide["properties"]["name"]
    (ring,) = feature["geometry"]["coordinates"]
    assert set(map(tuple, ring)) == set(region.outline.exterior.coords)
    assert ring[0] == ring[-1]


def test_the_thumbnail_of_a_picture_is_its_finest_level_of_at_most_1024_pixels(tmp_path, store):
    assert store.read_thumbnail("p1").shape == (650, 600, 3)
    large = np.zeros((2200, 300, 3), np.uint8)
    write(tmp_path / "large", large, magnifications=(20,))
    assert RegionStore(tmp_path / "large").read_thumbnail("p1").shape == (1100, 300, 3)


def test_a_picture_fits_one_file_up_to_64_mib_of_pixels():
    assert fits_archive(Size(4096, 5461))
    assert not fits_archive(Size(4096, 5462))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b""), "not a zip file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "not a zip file"),
    ],
)
def test_a_damaged_picture_is_named_by_its_file(store, harm, told):
    folder = store.path / "p1"
    assert find_damage(folder) is None
    harm(folder / "region-000.ozx")
    assert find_damage(folder) == "region-000.ozx is missing or damaged"
    with pytest.raises(StoreError, match=told) as caught:
        store.read_pixels("p1", "region-000", 10)
    assert str(caught.value).startswith(f"{folder / 'region-000.ozx'}")
    assert str(caught.value).endswith(f"; remove {folder} and prepare it again")


def test_a_byte_flipped_among_the_pixels_is_refused_with_its_checksum(store):
    path = store.path / "p1" / "region-000.ozx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    assert find_damage(path.parent) == "region-000.ozx is missing or damaged"
    with pytest.raises(StoreError, match=r"region-000\.ozx/0: damaged \(Bad CRC-32 for file"):
        store.read_pixels("p1", "region-000", 20)
