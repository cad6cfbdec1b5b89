import numpy as np
import pytest
import zarr
from ome_zarr_models.v05.image_label import ImageLabel

from wsikd.data.labels import labels_path, nearest, read_labels, write_labels
from wsikd.errors import StoreError
from wsikd.geometry import Mpp, Size
from wsikd.store import RegionStore


@pytest.fixture
def region(make_workspace):
    return RegionStore(make_workspace().store).read_slide("s1").regions[0]


def draw(region, mag, kind=np.uint16):
    level = region.level(mag)
    return np.random.default_rng(0).integers(0, 900, (level.height, level.width)).astype(kind)


def write(folder, region, mag=10.0, labels=None):
    labels = draw(region, mag) if labels is None else labels
    return write_labels(folder, "s1", region, Mpp(0.5, 0.5), mag, labels)


def test_reads_what_was_written(tmp_path, region):
    labels = draw(region, 10.0)
    assert write(tmp_path, region, labels=labels) == labels_path(tmp_path, "s1", "region-000")
    found = read_labels(tmp_path, "s1", "region-000", 10.0)
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


def test_nearest_takes_the_pixel_under_each_centre():
    labels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    by_hand = labels[[0, 2, 4]][:, [0, 2, 4, 6]]  # centres at 5/6, 15/6, 25/6; 7/8, 21/8, ...
    np.testing.assert_array_equal(nearest(labels, Size(4, 3)), by_hand)
