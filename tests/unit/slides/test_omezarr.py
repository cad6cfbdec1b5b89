import json

import numpy as np
import pytest
import zarr
from shapely import box

from tests.contract.test_slide_readers import save_ome_zarr
from wsikd.errors import SlideError, UnsupportedSlideError
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.slides import open_slide
from wsikd.store import SlideWriter

PIXELS = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)


def change(path, edit):
    """Edit the metadata of an image as JSON."""
    document = json.loads((path / "zarr.json").read_text())
    edit(document["attributes"]["ome"])
    (path / "zarr.json").write_text(json.dumps(document))


def write_04(path, pixels, *, unit="micrometer", scale=0.25, order="tczyx"):
    """Write NGFF 0.4 of five axes, as bioformats2raw does."""
    planes = np.moveaxis(pixels, 2, 0)[None, :, None]
    group = zarr.open_group(path, mode="w", zarr_format=2)
    array = group.create_array("0", shape=planes.shape, chunks=(1, 1, 1, 128, 128), dtype="uint8")
    array[:] = planes
    axes = [
        {"name": name, "type": "space", **({"unit": unit} if unit else {})}
        if name in "zyx"
        else {"name": name, "type": "time" if name == "t" else "channel"}
        for name in order
    ]
    scales = [{"type": "scale", "scale": [1, 1, 1, scale, scale]}]
    datasets = [{"path": "0", "coordinateTransformations": scales}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


def read_all(path):
    with open_slide(path) as slide:
        return slide.read(Region(0, 0, slide.size))


class TestResolution:
    @pytest.mark.parametrize(
        ("unit", "scale", "mpp"),
        [("micrometer", 0.25, 0.25), ("nanometer", 250, 0.25), ("millimeter", 0.00025, 0.25),
         (None, 0.25, None), ("pixel", 1.0, None)],
    )  # fmt: skip
    def test_has_the_unit_of_the_axes(self, tmp_path, unit, scale, mpp):
        with open_slide(write_04(tmp_path / "a.zarr", PIXELS, unit=unit, scale=scale)) as slide:
            assert slide.stated_mpp == (mpp and pytest.approx(Mpp(mpp, mpp)))

    def test_of_all_levels_multiplies_that_of_the_first(self, tmp_path):
        path = save_ome_zarr(tmp_path / "a.zarr", PIXELS)
        scale = [{"type": "scale", "scale": [1, 0.5, 0.25]}]
        change(path, lambda ome: ome["multiscales"][0].update(coordinateTransformations=scale))
        with open_slide(path) as slide:
            assert slide.stated_mpp == Mpp(0.5, 1.0)


def test_reads_version_0_4_with_axes_of_time_and_depth(tmp_path):
    np.testing.assert_array_equal(read_all(write_04(tmp_path / "a.zarr", PIXELS)), PIXELS)


class TestSeveralImages:
    @staticmethod
    def write(path, *pictures):
        group = zarr.open_group(path, mode="w", zarr_format=2)
        group.attrs["bioformats2raw.layout"] = 3
        for number, pixels in enumerate(pictures):
            write_04(path / str(number), pixels)
        return path

    def test_the_largest_is_the_slide(self, tmp_path):
        path = self.write(tmp_path / "a.zarr", PIXELS[:50, :60], PIXELS)
        np.testing.assert_array_equal(read_all(path), PIXELS)

    def test_of_like_size_are_refused_and_can_be_named(self, tmp_path):
        path = self.write(tmp_path / "a.zarr", PIXELS, 255 - PIXELS)
        with pytest.raises(UnsupportedSlideError, match="got 2 images of like size, 0, 1; name"):
            open_slide(path)
        np.testing.assert_array_equal(read_all(path / "1"), 255 - PIXELS)


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (
            lambda ome: ome.update(
                omero={"channels": [{"color": c} for c in ("0000FF", "00FF00", "FF0000")]}
            ),
            "channels in 0000FF, 00FF00, FF0000",
        ),
        (
            lambda ome: ome["multiscales"][0]["axes"][0].update(name="z"),
            "axes zyx of 3 x 200 x 300 in uint8",
        ),
        (lambda ome: ome.pop("multiscales"), "a Zarr group without multiscales"),
    ],
)
def test_refuses_what_is_no_rgb_image(tmp_path, edit, found):
    path = save_ome_zarr(tmp_path / "a.zarr", PIXELS)
    change(path, edit)
    message = f"a.zarr: unsupported, must be one OME-Zarr image in RGB with 8 bits, got {found};"
    with pytest.raises(UnsupportedSlideError, match=message):
        open_slide(path)


class TestDamage:
    @pytest.fixture
    def damaged(self, tmp_path):
        path = save_ome_zarr(tmp_path / "a.zarr", PIXELS)
        chunk = path / "0" / "c" / "0" / "1" / "2"
        chunk.write_bytes(chunk.read_bytes()[:100])
        return path

    def test_of_a_chunk_is_an_error_that_says_where(self, damaged):
        message = r"a.zarr: the tile at x=200 y=100 of level 0 cannot be decoded \(.+\); the file"
        with open_slide(damaged) as slide, pytest.raises(SlideError, match=message):
            slide.read(Region(0, 0, slide.size))

    def test_of_a_chunk_is_white_where_it_is_tolerated(self, damaged):
        with open_slide(damaged) as slide:
            slide.tolerate_damage()
            pixels = slide.read(Region(10, 10, Size(280, 180)))
            (tile,) = slide.damaged
        assert tile.box == Region(200, 100, Size(100, 100))
        expected = PIXELS.copy()
        expected[100:, 200:] = 255
        np.testing.assert_array_equal(pixels, expected[10:190, 10:290])

    def test_of_the_metadata_is_named(self, damaged):
        (damaged / "zarr.json").write_text("{")
        with pytest.raises(SlideError, match=r"a.zarr: the OME-Zarr metadata are missing or damag"):
            open_slide(damaged)

    def test_by_lost_chunks_is_noted(self, damaged):
        (damaged / "0" / "c" / "0" / "1" / "2").unlink()
        with open_slide(damaged) as slide:
            assert slide.notes == ("1 of 18 chunks of level 0 are left out and read as 0",)


def test_a_folder_of_regions_that_wsikd_wrote_can_be_read(tmp_path):
    """Its images are OME-Zarr like any other."""
    region = TissueRegion(0, Region(0, 0, Size(300, 200)), box(0, 0, 300, 200))
    levels = [PyramidLevel(10.0, Size(300, 200), Mpp(1, 1))]
    SlideWriter(tmp_path, "a").write_region(region, Mpp(1, 1), levels, [(0, PIXELS)])
    path = next((tmp_path / ".a.partial").iterdir())
    with open_slide(path) as slide:
        assert (slide.name, slide.stated_mpp, slide.notes) == ("omezarr", Mpp(1, 1), ())
    np.testing.assert_array_equal(read_all(path), PIXELS)
