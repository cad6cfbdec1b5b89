"""What every slide reader promises, tried on one drawn slide in each reader's kind of file."""

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.errors import RegionError
from wsikd.geometry import Mpp, Region, Size
from wsikd.slides import READERS, ArrayReader, open_slide
from wsikd.slides.reader import FileReader
from wsikd.slides.sniff import sniff

SETTINGS = DrawSettings(mpp=2.0, pieces=1, piece_mm=(1.0, 1.0), seed=3)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The drawn slide's file and its level-0 pixels, decoded without wsikd."""
    path = tmp_path_factory.mktemp("drawn") / "slide.svs"
    draw_slide(path, "tumour", SETTINGS)
    return path, tifffile.imread(path, key=0)


def save_picture(path, pixels):
    Image.fromarray(pixels).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def save_ome_zarr(path, pixels):
    """Save as converters do: chunks smaller than the image, a second level of means."""
    levels = [pixels, np.asarray(Image.fromarray(pixels).reduce(4))]
    group = zarr.open_group(path, mode="w", zarr_format=3)
    datasets = []
    for number, level in enumerate(levels):
        planes = np.moveaxis(level, 2, 0)
        array = group.create_array(
            str(number), shape=planes.shape, chunks=(1, 100, 100), dtype="uint8"
        )
        array[:] = planes
        scale = [{"type": "scale", "scale": [1.0, 2.0 * 4**number, 2.0 * 4**number]}]
        datasets.append({"path": str(number), "coordinateTransformations": scale})
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    image = {"axes": axes, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    return path


SAVED_BY = {"image": save_picture, "omezarr": save_ome_zarr}
"""How level 0 of the drawn slide is saved for a reader that is not for Aperio slides."""


@pytest.fixture(params=READERS)
def file_of_reader(request, drawn, tmp_path):
    path, pixels = drawn
    if request.param in SAVED_BY:
        path = SAVED_BY[request.param](tmp_path / "slide", pixels)
    return request.param, path


@pytest.fixture(params=[*READERS, "array"])
def reader(request, drawn, tmp_path):
    path, pixels = drawn
    if request.param in SAVED_BY:
        path = SAVED_BY[request.param](tmp_path / "slide", pixels)
    if request.param == "array":
        opened = ArrayReader(pixels, mpp=2.0, objective_power=5)
    else:
        opened = open_slide(path, reader=request.param)
    with opened:
        yield opened


class TestEveryReaderOfFiles:
    def test_is_known_by_its_name(self, file_of_reader):
        name, path = file_of_reader
        with open_slide(path, reader=name) as reader:
            assert isinstance(reader, FileReader)
            assert reader.name == name
            assert reader.path == path

    def test_suits_its_kind_of_file_and_no_noise(self, file_of_reader, tmp_path):
        name, path = file_of_reader
        (tmp_path / "noise").write_bytes(bytes(range(256)))
        with open_slide(path, reader=name) as reader:
            assert reader.suits(path, sniff(path)) in (1, 2, 3)
            assert reader.suits(tmp_path / "noise", "other") == 0


class TestEveryReader:
    def test_gives_width_before_height_and_levels_from_large_to_small(self, reader, drawn):
        height, width, _ = drawn[1].shape
        assert reader.size == Size(width, height)
        assert list(reader.level_sizes) == sorted(reader.level_sizes, reverse=True)

    def test_gives_downsamples_from_the_true_sizes(self, reader):
        for level, (down_x, down_y) in zip(
            reader.level_sizes, reader.level_downsamples, strict=True
        ):
            assert level.width * down_x == pytest.approx(reader.size.width, abs=1e-9)
            assert level.height * down_y == pytest.approx(reader.size.height, abs=1e-9)

    def test_states_the_resolution_or_none(self, reader):
        stated = (reader.stated_mpp, reader.objective_power)
        mpp = None if reader.name == "image" else Mpp(2.0, 2.0)
        assert stated == (mpp, None if reader.name in SAVED_BY else 5.0)

    @pytest.mark.parametrize(
        "region",
        [
            Region(0, 0, Size(1, 1)),
            Region(250, 251, Size(9, 300)),  # across borders of tiles
            Region(0, 311, Size(625, 13)),  # a full row
            Region(600, 600, Size(25, 25)),  # the last corner
        ],
        ids=lambda region: f"{region.x},{region.y}",
    )
    def test_reads_the_pixels_that_are_in_the_file(self, reader, drawn, region):
        (x, y), (width, height) = (region.x, region.y), region.size
        expected = drawn[1][y : y + height, x : x + width]
        pixels = reader.read(region)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, expected)

    def test_reads_the_means_of_blocks_from_a_further_level(self, reader, drawn):
        level = len(reader.level_sizes) - 1
        pixels = reader.read(Region(0, 0, reader.level_sizes[level]), level=level)
        expected = np.asarray(Image.fromarray(drawn[1]).reduce(4**level))
        assert (
            np.abs(pixels.astype(float) - expected).mean() < 3.5
        )  # for JPEG; one pixel off gives 8

    @pytest.mark.parametrize("level", [-1, 9])
    def test_refuses_a_level_that_does_not_exist(self, reader, level):
        with pytest.raises(RegionError, match=f"level {level} asked of a slide with "):
            reader.read(Region(0, 0, Size(1, 1)), level=level)

    @pytest.mark.parametrize(
        "region",
        [
            Region(-1, 0, Size(4, 4)),
            Region(0, 622, Size(4, 4)),
            Region(622, 0, Size(4, 4)),
            Region(0, 0, Size(0, 4)),
        ],
        ids=str,
    )
    def test_refuses_a_region_that_leaves_the_slide(self, reader, region):
        with pytest.raises(RegionError, match=r"at level 0 leaves the slide of 625x625$"):
            reader.read(region)

    def test_is_an_error_to_read_when_closed_and_none_to_close_again(self, reader):
        reader.close()
        reader.close()
        with pytest.raises(ValueError, match="read after the slide was closed"):
            reader.read(Region(0, 0, Size(1, 1)))


@pytest.mark.parametrize("name", ["openslide", "tiffslide"])
def test_a_tile_that_the_file_leaves_out_is_white(name, tmp_path):
    path = tmp_path / "sparse.tif"
    grey = np.full((64, 64, 3), 90, np.uint8)
    tiles = iter([grey, None, grey, grey])
    tifffile.imwrite(path, tiles, shape=(128, 128, 3), dtype=np.uint8, tile=(64, 64),
                     photometric="rgb", compression="adobe_deflate")  # fmt: skip
    with open_slide(path, reader=name) as reader:
        pixels = reader.read(Region(0, 0, Size(128, 128)))
    assert (pixels[:64, 64:] == 255).all()
    assert (pixels[64:] == 90).all()
    assert (pixels[:64, :64] == 90).all()
