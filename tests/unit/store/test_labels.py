import tracemalloc

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05.image_label import ImageLabel

from wsikd.errors import StoreError
from wsikd.geometry import Mpp, Region, Size
from wsikd.store import RegionStore
from wsikd.store.labels import (
    LabelFrame,
    LabelLevel,
    LabelWriter,
    labels_path,
    levels_of,
    nearest,
    read_labels,
    read_made,
)


@pytest.fixture
def region(make_workspace):
    return RegionStore(make_workspace().store).read_slide("s1").regions[0]


def draw(region, mag, kind=np.uint16):
    level = region.level(mag)
    return np.random.default_rng(0).integers(0, 900, (level.height, level.width)).astype(kind)


def write(folder, region, mag=10.0, labels=None, rows=64, **how):
    labels = draw(region, mag) if labels is None else labels
    box = Region(region.x, region.y, Size(region.width, region.height))
    path = labels_path(folder, "s1", region.region_id)
    levels = levels_of(region, mag)
    frame = LabelFrame(box, Mpp(0.5, 0.5))
    with LabelWriter(path, frame, levels, dtype=labels.dtype, **how) as writer:
        for top in range(0, len(labels), rows):
            writer.push(labels[top : top + rows])
    return path


def test_reads_what_was_written(tmp_path, region):
    labels = draw(region, 10.0)
    write(tmp_path, region, labels=labels)
    for mag in (10.0, None):
        found = read_labels(tmp_path, "s1", "region-000", mag)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, labels)


def test_has_the_coarser_levels_by_the_nearest_pixel(tmp_path, region):
    labels = draw(region, 20.0)
    write(tmp_path, region, 20.0, labels)
    np.testing.assert_array_equal(
        read_labels(tmp_path, "s1", "region-000", 5.0), labels[2::4, 2::4]
    )


def test_is_a_valid_label_image_placed_as_its_region(tmp_path, region, make_workspace):
    group = zarr.open_group(write(tmp_path, region), mode="r")
    checked = ImageLabel.from_zarr(group)
    (multiscale,) = checked.ome_attributes.multiscales
    assert [axis.name for axis in multiscale.axes] == ["y", "x"]
    image = zarr.open_group(make_workspace().store / "s1" / "region-000.ome.zarr", mode="r")
    (of_region,) = image.attrs["ome"]["multiscales"]
    of_labels = group.attrs["ome"]["multiscales"][0]["datasets"]
    for dataset, expected in zip(of_labels, of_region["datasets"][1:], strict=True):
        for own, other in zip(
            dataset["coordinateTransformations"],
            expected["coordinateTransformations"],
            strict=True,
        ):
            assert own[own["type"]] == other[other["type"]][1:]


def test_replaces_what_was_there(tmp_path, region):
    write(tmp_path, region)
    blank = np.zeros_like(draw(region, 5.0))
    write(tmp_path, region, 5.0, blank)
    np.testing.assert_array_equal(read_labels(tmp_path, "s1", "region-000", 5.0), blank)
    with pytest.raises(StoreError, match="has no labels at 10x, only 5x; choose one of those"):
        read_labels(tmp_path, "s1", "region-000", 10.0)
    assert [path.name for path in (tmp_path / "s1").iterdir()] == ["region-000.ome.zarr"]


def test_says_what_is_missing_or_damaged(tmp_path, region):
    with pytest.raises(StoreError, match=r"region-000\.ome\.zarr: no labels of this region; let"):
        read_labels(tmp_path, "s1", "region-000", 10.0)
    path = write(tmp_path, region)
    (path / "0" / "c" / "0" / "0").unlink()
    with pytest.raises(StoreError, match=r"damaged \(a part of it is missing\); remove it and"):
        read_labels(tmp_path, "s1", "region-000", 10.0)
    (path / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        read_labels(tmp_path, "s1", "region-000", 10.0)


@pytest.mark.parametrize("rows", [1, 7, 1024, 1500, 2600])
def test_is_the_same_however_the_rows_come(tmp_path, rows):
    labels = np.random.default_rng(1).integers(0, 2, (2600, 1100)).astype(np.uint8)
    sizes = [Size(1100, 2600), Size(550, 1300), Size(161, 381)]
    levels = [LabelLevel(size, None, mag) for size, mag in zip(sizes, (40, 20, 6), strict=True)]
    frame = LabelFrame(Region(0, 0, sizes[0]), None)
    with LabelWriter(labels_path(tmp_path, "a", "image"), frame, levels) as writer:
        for top in range(0, 2600, rows):
            writer.push(labels[top : top + rows])
    for size, mag in zip(sizes, (40, 20, 6), strict=True):
        whole = nearest(labels, size)
        np.testing.assert_array_equal(read_labels(tmp_path, "a", "image", mag), whole)


def test_holds_a_row_of_chunks_and_not_the_region(tmp_path):
    size = Size(512, 40_000)
    frame, rows = LabelFrame(Region(0, 0, size), None), np.ones((256, 512), np.uint8)
    tracemalloc.start()
    with LabelWriter(tmp_path / "a.ome.zarr", frame, [LabelLevel(size, None, None)]) as writer:
        for top in range(0, size.height, 256):
            writer.push(rows[: size.height - top])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 1024 * 512 < size.height * size.width / 6


def test_without_a_resolution_lies_in_pixels(tmp_path):
    frame = LabelFrame(Region(8, 4, Size(6, 4)), None)
    levels = [LabelLevel(Size(6, 4), None, None), LabelLevel(Size(3, 2), None, None)]
    with LabelWriter(labels_path(tmp_path, "a", "image"), frame, levels) as writer:
        writer.push(np.ones((4, 6), np.uint8))
    group = zarr.open_group(labels_path(tmp_path, "a", "image"), mode="r")
    (multiscale,) = ImageLabel.from_zarr(group).ome_attributes.multiscales
    assert [axis.unit for axis in multiscale.axes] == [None, None]
    places = [
        [step[step["type"]] for step in dataset["coordinateTransformations"]]
        for dataset in group.attrs["ome"]["multiscales"][0]["datasets"]
    ]
    # a pixel of twice the side has its centre half a pixel further in
    assert places == [[[1.0, 1.0], [4.0, 8.0]], [[2.0, 2.0], [4.5, 8.5]]]
    with pytest.raises(StoreError, match="no labels at 10x, only at an unknown magnification;"):
        read_labels(tmp_path, "a", "image", 10.0)


def test_remembers_how_it_was_made(tmp_path, region):
    assert read_made(tmp_path, "s1", "region-000") is None
    path = write(tmp_path, region, made={"threshold": 0.5, "smooth": True})
    assert read_made(tmp_path, "s1", "region-000") == {"threshold": 0.5, "smooth": True}
    (path / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        read_made(tmp_path, "s1", "region-000")


@pytest.mark.parametrize("error", [StoreError, KeyboardInterrupt])
def test_what_is_not_finished_leaves_no_trace(tmp_path, region, error):
    write(tmp_path, region)
    with pytest.raises(error):
        begin_and_fail(tmp_path, region, error)
    assert [path.name for path in (tmp_path / "s1").iterdir()] == ["region-000.ome.zarr"]
    np.testing.assert_array_equal(
        read_labels(tmp_path, "s1", "region-000", 10.0), draw(region, 10.0)
    )


def begin_and_fail(folder, region, error):
    box = Region(region.x, region.y, Size(region.width, region.height))
    path = labels_path(folder, "s1", region.region_id)
    with LabelWriter(path, LabelFrame(box, Mpp(0.5, 0.5)), levels_of(region, 10.0)) as writer:
        writer.push(draw(region, 10.0, np.uint8)[:5])
        raise error


def test_nearest_takes_the_pixel_under_each_centre():
    labels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    by_hand = labels[[0, 2, 4]][:, [0, 2, 4, 6]]  # centres at 5/6, 15/6, 25/6; 7/8, 21/8, ...
    np.testing.assert_array_equal(nearest(labels, Size(4, 3)), by_hand)
