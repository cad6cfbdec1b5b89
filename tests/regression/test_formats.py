"""Files of every version of every format are read to what was put into them, for ever.

The files under golden/ were written once and are not made anew: a format that changes gets
another version and another folder. Of version 2 there are pictures in the store. The models' format
has its test beside `wsikd.models.weights`.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image as OmeZarrImage
from PIL import Image
from shapely import box

from wsikd.cohort.manifest import read_manifest
from wsikd.cohort.splits import classes_of
from wsikd.evaluation import read_metrics, summary_table
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.runs import find_runs
from wsikd.store import RegionStore
from wsikd.store.ome import region_attributes

GOLDEN = Path(__file__).parent / "golden" / "v1"
REGION = GOLDEN / "regions" / "s1" / "region-000.ome.zarr"


@pytest.fixture
def pixels():
    """Return the slide that was stored: 80 x 60 pixels of 1 x 0.5 µm."""
    y, x, channel = np.mgrid[0:60, 0:80, 0:3]
    return ((7 * x + 3 * y + 50 * channel) % 256).astype(np.uint8)


def test_a_slide_record_of_version_1_is_read():
    record = RegionStore(GOLDEN / "regions").read_slide("s1")
    assert (record.width, record.height, record.mpp, record.mpp_source) == (
        80,
        60,
        (1, 0.5),
        "file",
    )
    assert (record.reader, record.slide_format) == ("tiffslide", "aperio")
    assert record.source.name == "s1.svs"
    assert record.settings["pyramid"] == {"magnifications": [10.0, 2.5], "kernel": "lanczos"}
    (region,) = record.regions
    assert (region.x, region.y, region.width, region.height) == (10, 20, 48, 36)
    assert region.area_um2 == (50 - 12) * (50 - 22) * 0.5
    assert [(level.magnification, level.width, level.height) for level in region.levels] == [
        (10, 48, 18),
        (2.5, 12, 5),
    ]


@pytest.mark.parametrize(("magnification", "size"), [(10, (48, 18)), (2.5, (12, 5))])
def test_the_pixels_of_version_1_are_read(pixels, magnification, size):
    stored = RegionStore(GOLDEN / "regions").read_pixels("s1", "region-000", magnification)
    piece = Image.fromarray(pixels[20:56, 10:58])
    expected = np.asarray(piece.resize(size, Image.Resampling.LANCZOS))
    assert np.abs(stored.astype(int) - expected).max() <= 1


def test_the_outlines_of_version_1_are_read():
    (feature,) = RegionStore(GOLDEN / "regions").read_outlines("s1")["features"]
    corners = {tuple(corner) for corner in feature["geometry"]["coordinates"][0]}
    assert corners == {(12, 22), (50, 22), (50, 50), (12, 50)}


def test_the_thumbnail_of_version_1_is_read(pixels):
    thumbnail = RegionStore(GOLDEN / "regions").read_thumbnail("s1")
    np.testing.assert_array_equal(thumbnail, pixels)


@pytest.mark.parametrize(("magnification", "size"), [(10, (24, 20)), (2.5, (6, 5))])
def test_a_picture_of_version_2_is_read(magnification, size):
    store = RegionStore(GOLDEN.parent / "v2" / "regions")
    record = store.read_slide("p1")
    assert (record.width, record.height, record.mpp, record.mpp_source) == (24, 20, (1, 1), "given")
    y, x, channel = np.mgrid[0:20, 0:24, 0:3]
    shown = Image.fromarray(((7 * x + 3 * y + 50 * channel) % 256).astype(np.uint8))
    expected = np.asarray(shown.resize(size, Image.Resampling.LANCZOS))
    stored = store.read_pixels("p1", "region-000", magnification)
    assert np.abs(stored.astype(int) - expected).max() <= 1
    (feature,) = store.read_outlines("p1")["features"]
    corners = {tuple(corner) for corner in feature["geometry"]["coordinates"][0]}
    assert corners == {(0, 0), (24, 0), (24, 20), (0, 20)}


def test_a_region_of_version_1_is_valid_ome_zarr():
    OmeZarrImage.from_zarr(zarr.open_group(REGION, mode="r"))


def test_todays_regions_have_the_attributes_of_version_1():
    region = TissueRegion(0, Region(10, 20, Size(48, 36)), box(12, 22, 50, 50))
    levels = [
        PyramidLevel(10, Size(48, 18), Mpp(1.0, 1.0)),
        PyramidLevel(2.5, Size(12, 5), Mpp(4.0, 3.6)),
    ]
    today = region_attributes(region, Mpp(1.0, 0.5), levels, kernel="lanczos", ngff="0.5")
    written = json.loads((REGION / "zarr.json").read_text())["attributes"]
    assert json.loads(json.dumps(today)) == written


def test_a_run_of_version_1_is_read():
    (run,) = find_runs(GOLDEN / "runs")
    told = run.read_provenance()
    assert (told.name, told.method, told.magnification) == ("teacher-10x", "teacher", 10)
    assert told.classes == ("normal", "tumour")
    assert told.inputs == {"slides": "a1", "regions": "b2"}
    assert run.is_complete()
    assert run.read_settings() == {"epochs": 2, "mag": 10.0, "fold": None}
    assert [entry["val"]["loss"] for entry in run.read_log()] == [0.5, 0.625]


def test_predictions_of_version_1_are_read():
    (run,) = find_runs(GOLDEN / "runs")
    table = run.read_predictions()
    assert table["slide_id"].tolist() == ["007", "009"]
    assert table[["p_0", "p_1"]].values.tolist() == [[0.25, 0.75], [0.375, 0.625]]


def test_metrics_of_version_1_are_read():
    metrics = read_metrics(GOLDEN / "runs")
    (run,) = metrics.runs
    # both regions are called tumour: of the classes' recalls 0 and 1 the mean is a half
    assert run.units["slide"].metrics["recall"].value == 0.5
    assert run.units["slide"].confusion == ((0, 1), (0, 1))
    assert len(summary_table(metrics)) == 1


def test_a_manifest_of_version_1_is_read():
    table = read_manifest(GOLDEN / "slides.csv")
    assert table["slide_id"].tolist() == ["007", "008", "009"]
    assert table["path"].tolist() == [str(GOLDEN / f"00{n}.svs") for n in (7, 8, 9)]
    assert table["scanner"].tolist() == ["AT2"] * 3
    assert classes_of(table) == ("normal", "tumour")
