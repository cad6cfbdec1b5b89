import numpy as np
import pytest
import zarr

from wsikd.geometry import Region, Size
from wsikd.pyramid.resample import resample
from wsikd.store import RegionStore, writing


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_pixels_come_back_as_they_were_made(tmp_path, write, pixels, ngff):
    write(tmp_path, ngff=ngff)
    piece = pixels[24:1227, 40:741]
    for magnification, size in ((20, (701, 602)), (10, (351, 301)), (1.25, (44, 38))):
        stored = RegionStore(tmp_path).read_pixels("s1", "region-000", magnification)
        np.testing.assert_array_equal(stored, resample(piece, Size(*size)))


def test_the_record_says_what_is_on_disk(tmp_path, write):
    write(tmp_path)
    (region,) = RegionStore(tmp_path).read_slide("s1").regions
    assert (region.x, region.y, region.width, region.height) == (40, 24, 701, 1203)
    assert region.area_um2 == 100 * 0.5 * 50 * 0.25
    for level in region.levels:
        array = zarr.open_array(tmp_path / "s1" / "region-000.ome.zarr" / level.path, mode="r")
        assert array.shape == (3, level.height, level.width)
        assert array.dtype == np.uint8


def test_a_region_of_five_magnifications_is_fewer_than_twelve_files(tmp_path, write):
    write(tmp_path)
    region = tmp_path / "s1" / "region-000.ome.zarr"
    assert sum(path.is_file() for path in region.rglob("*")) < 12


def test_a_slide_is_its_regions_outlines_thumbnail_and_record(tmp_path, write):
    write(tmp_path)
    names = sorted(path.name for path in (tmp_path / "s1").iterdir())
    assert names == [
        "checksums.sha256",
        "region-000.ome.zarr",
        "slide.json",
        "thumbnail.png",
        "tissue.geojson",
    ]
    assert RegionStore(tmp_path).read_thumbnail("s1").shape == (52, 32, 3)
    assert RegionStore(tmp_path).read_outlines("s1")["type"] == "FeatureCollection"


def test_a_large_level_is_written_shard_by_shard(tmp_path, write, monkeypatch):
    monkeypatch.setattr(writing, "_CHUNK", 64)
    monkeypatch.setattr(writing, "_HELD_BYTES", 100_000)
    pixels = np.random.default_rng(1).integers(0, 256, (2700, 330, 3), np.uint8)
    box = Region(3, 5, Size(320, 2690))
    write(tmp_path, pixels=pixels, box=box, magnifications=(20,))
    array = zarr.open_array(tmp_path / "s1" / "region-000.ome.zarr" / "0", mode="r")
    assert array.shape == (3, 1345, 320)  # 2690 x 0.25 / 0.5
    # 100,000 bytes are 104 rows of 3 x 320: two chunks of 64 rows, so 11 shards of 128 rows
    assert array.shards == (3, 128, 320)
    assert sum(path.is_file() for path in (array.store.root / "c").rglob("*")) == 11
    stored = RegionStore(tmp_path).read_pixels("s1", "region-000", 20)
    np.testing.assert_array_equal(stored, resample(pixels[5:2695, 3:323], Size(320, 1345)))


def test_what_is_discarded_leaves_nothing(tmp_path, write):
    write(tmp_path, commit=False).discard()
    assert list(tmp_path.iterdir()) == []


def test_discarding_after_commit_is_harmless(tmp_path, write):
    write(tmp_path).discard()
    assert RegionStore(tmp_path).slide_ids() == ["s1"]


def test_what_a_killed_process_left_is_no_slide_and_is_written_anew(tmp_path, write):
    write(tmp_path, commit=False, magnifications=(20, 10))
    assert (tmp_path / ".s1.partial").is_dir()
    assert RegionStore(tmp_path).slide_ids() == []
    write(tmp_path, magnifications=(5,))
    assert [path.name for path in tmp_path.iterdir()] == ["s1"]
    assert RegionStore(tmp_path).magnifications() == (5,)


def test_a_slide_written_again_replaces_the_old_one(tmp_path, write):
    write(tmp_path, magnifications=(20, 10))
    write(tmp_path, magnifications=(5,))
    store = RegionStore(tmp_path)
    assert store.magnifications() == (5,)
    group = zarr.open_group(tmp_path / "s1" / "region-000.ome.zarr", mode="r")
    assert list(group.array_keys()) == ["0"]
