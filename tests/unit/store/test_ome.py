import pytest
import zarr
from ome_zarr_models.v04 import Image as Image04
from ome_zarr_models.v05 import Image as Image05
from shapely import Polygon

from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.store.ome import region_attributes


@pytest.mark.parametrize(
    ("ngff", "image", "zarr_format"), [("0.5", Image05, 3), ("0.4", Image04, 2)]
)
def test_a_region_is_a_valid_image_of_its_ome_zarr_version(
    tmp_path, write, ngff, image, zarr_format
):
    write(tmp_path, ngff=ngff)
    group = zarr.open_group(tmp_path / "s1" / "region-000.ome.zarr", mode="r")
    assert group.metadata.zarr_format == zarr_format
    checked = image.from_zarr(group)
    multiscale = (
        checked.attributes.multiscales if ngff == "0.4" else checked.ome_attributes.multiscales
    )
    assert [axis.name for axis in multiscale[0].axes] == ["c", "y", "x"]
    assert len(multiscale[0].datasets) == 5


def test_scale_and_translation_place_every_level_on_the_slide():
    # a piece of 100 x 60 pixels at (40, 20), pixels of 0.5 x 0.25 µm; levels 50 x 15 and 25 x 8
    region = TissueRegion(3, Region(40, 20, Size(100, 60)), Polygon())
    levels = [
        PyramidLevel(10, Size(50, 15), Mpp(1.0, 1.0)),
        PyramidLevel(5, Size(25, 8), Mpp(2.0, 1.875)),
    ]
    attributes = region_attributes(region, Mpp(0.5, 0.25), levels, kernel="lanczos", ngff="0.5")
    (multiscale,) = attributes["ome"]["multiscales"]
    assert multiscale["name"] == "region-003"
    assert multiscale["type"] == "lanczos3"
    placed = [dataset["coordinateTransformations"] for dataset in multiscale["datasets"]]
    assert [scale["scale"] for scale, _ in placed] == [[1, 1.0, 1.0], [1, 1.875, 2.0]]
    # the piece begins 20 µm right and 5 µm down; the middle of its first pixel lies half a pixel
    # in: 20.5 and 5.5 at 10x, from the middle of the slide's first pixel at (0.25, 0.125)
    assert [shift["translation"] for _, shift in placed] == [
        [0, pytest.approx(5.5 - 0.125), pytest.approx(20.5 - 0.25)],
        [0, pytest.approx(5 + 0.9375 - 0.125), pytest.approx(21 - 0.25)],
    ]


def test_scale_times_shape_is_the_extent_of_the_piece_at_every_level(tmp_path, write):
    write(tmp_path)
    group = zarr.open_group(tmp_path / "s1" / "region-000.ome.zarr", mode="r")
    for dataset in group.attrs["ome"]["multiscales"][0]["datasets"]:
        _, scale_y, scale_x = dataset["coordinateTransformations"][0]["scale"]
        _, height, width = group[dataset["path"]].shape
        assert height * scale_y == pytest.approx(1203 * 0.25)
        assert width * scale_x == pytest.approx(701 * 0.5)


def test_the_kernel_is_named_in_the_metadata():
    region = TissueRegion(0, Region(0, 0, Size(8, 8)), Polygon())
    levels = [PyramidLevel(10, Size(8, 8), Mpp(1, 1))]
    attributes = region_attributes(region, Mpp(1, 1), levels, kernel="box", ngff="0.4")
    assert attributes["multiscales"][0]["type"] == "box"
