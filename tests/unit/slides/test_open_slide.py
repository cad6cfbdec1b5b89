import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.errors import ConfigError, SlideError
from wsikd.geometry import Region, Size
from wsikd.slides import READERS, ReaderPlace, open_slide

PIXELS = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)


@pytest.fixture(scope="module")
def aperio(tmp_path_factory):
    path = tmp_path_factory.mktemp("slides") / "slide.svs"
    draw_slide(path, "normal", DrawSettings(mpp=4.0, pieces=1, piece_mm=(0.5, 0.5), tile=64))
    return path


def tiff(path, **options):
    tifffile.imwrite(path, PIXELS, **{"photometric": "rgb", "tile": (64, 64), **options})
    return path


def test_takes_tiffslide_for_jpeg_tiles(aperio):
    with open_slide(aperio) as slide:
        assert (slide.name, slide.format) == ("tiffslide", "aperio")


@pytest.mark.parametrize("compression", ["adobe_deflate", "lzw", None])
def test_takes_tiffslide_for_lossless_tiles_whose_damage_openslide_does_not_tell(
    tmp_path, compression
):
    with open_slide(tiff(tmp_path / "a.tif", compression=compression)) as slide:
        assert (slide.name, slide.format) == ("tiffslide", "generic-tiff")


def test_takes_openslide_for_jpeg_2000(tmp_path):
    options = {
        "compression": "aperio_jp2000_rgb",
        "metadata": None,
        "compressionargs": {"level": 0},
    }
    description = "Aperio Image Library v10.0\n192x128 (64x64) J2K/KDU"
    with open_slide(tiff(tmp_path / "a.svs", description=description, **options)) as slide:
        assert (slide.name, slide.format) == ("openslide", "aperio")
        np.testing.assert_array_equal(slide.read(Region(0, 0, Size(192, 128))), PIXELS)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "webp", "compressionargs": {"lossless": True}},  # refused by OpenSlide
        {"tile": None, "rowsperstrip": 16},  # unknown to OpenSlide
        {"tile": None, "rowsperstrip": 128},
    ],
    ids=str,
)
def test_takes_tiffslide_for_tiff_that_openslide_refuses(tmp_path, options):
    with open_slide(tiff(tmp_path / "a.tif", **options)) as slide:
        assert slide.name == "tiffslide"
        np.testing.assert_array_equal(
            slide.read(Region(3, 5, Size(150, 100))), PIXELS[5:105, 3:153]
        )


def test_takes_openslide_where_tiles_are_missing(tmp_path):
    tile = PIXELS[:64, :64]
    path = tmp_path / "sparse.tif"
    tifffile.imwrite(path, iter([tile, None]), shape=(64, 128, 3), dtype=np.uint8, tile=(64, 64),
                     photometric="rgb", compression="jpeg")  # fmt: skip
    with open_slide(path) as slide:
        assert slide.name == "openslide"


def test_takes_pillow_for_a_picture_whatever_its_name(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "slide.svs", format="PNG")
    with open_slide(tmp_path / "slide.svs") as slide:
        assert (slide.name, slide.format) == ("image", "png")


@pytest.mark.parametrize("name", ["openslide", "tiffslide"])
def test_takes_the_reader_that_is_asked_for(aperio, name):
    with open_slide(aperio, reader=name) as slide:
        assert slide.name == name


def test_names_the_readers_when_an_unknown_one_is_asked_for(aperio):
    with pytest.raises(
        ConfigError, match="reader 'bioformats' is unknown; choose one of openslide"
    ):
        open_slide(aperio, reader="bioformats")


@pytest.mark.parametrize("name", READERS)
def test_a_forced_reader_refuses_what_it_cannot_read_in_one_line(tmp_path, name):
    (tmp_path / "noise.svs").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(SlideError, match=r"noise.svs: [^\n]*$"):
        open_slide(tmp_path / "noise.svs", reader=name)


def test_says_how_a_file_begins_that_no_reader_knows(tmp_path):
    (tmp_path / "a.svs").write_bytes(b"IJrEr1vVunknown")
    with pytest.raises(SlideError, match=r"a.svs: begins with b'IJrEr1vV', which no reader knows;"):
        open_slide(tmp_path / "a.svs")


def test_refuses_more_channels_than_colours(tmp_path):
    path = tmp_path / "if.ome.tif"
    tifffile.imwrite(path, np.zeros((5, 64, 64), np.uint8), metadata={"axes": "CYX"})
    with pytest.raises(
        SlideError,
        match=r"unsupported, must be one picture in RGB or grey with 8 bits, got axes CYX of 5 x",
    ):
        open_slide(path)


def test_refuses_pixels_that_have_more_than_eight_bits(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS.astype(np.uint16), photometric="rgb")
    message = (
        r"a.tif: unsupported, must be one picture in RGB or grey with 8 bits, "
        r"got 3 samples of uint16 as rgb in none; convert it$"
    )
    with pytest.raises(SlideError, match=message):
        open_slide(tmp_path / "a.tif")


def test_refuses_at_once_a_slide_whose_last_tiles_are_cut_off(aperio, tmp_path):
    data = aperio.read_bytes()
    (tmp_path / "cut.svs").write_bytes(data[: len(data) // 2])
    with pytest.raises(SlideError, match=r"cut.svs: must have at least \d+ bytes, got \d+; it is"):
        open_slide(tmp_path / "cut.svs")


def test_refuses_a_slide_whose_directory_is_cut_off(tmp_path, capfd):
    (tmp_path / "cut.svs").write_bytes(b"II*\0" + (10_000).to_bytes(4, "little") + bytes(100))
    with pytest.raises(SlideError, match=r"cut.svs: the TIFF directory is missing or damaged"):
        open_slide(tmp_path / "cut.svs")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["openslide", "tiffslide"])
class TestDamagedTile:
    @pytest.fixture
    def damaged(self, aperio, tmp_path):
        """A slide whose first tile is cut short by zeros, as a hole in a copy leaves it."""
        with tifffile.TiffFile(aperio) as file:
            begin, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
        data = bytearray(aperio.read_bytes())
        data[begin + count // 2 : begin + count] = bytes(count - count // 2)
        (tmp_path / "hole.svs").write_bytes(data)
        return tmp_path / "hole.svs"

    def test_is_an_error_and_not_grey(self, damaged, name, capfd):
        message = (
            r"hole.svs: .*level 0 cannot be decoded \(.*\); the file is damaged, copy it again$"
        )
        with (
            open_slide(damaged, reader=name) as slide,
            pytest.raises(SlideError, match=message),
        ):
            slide.read(Region(0, 0, Size(64, 64)))
        assert capfd.readouterr() == ("", "")

    def test_leaves_the_other_tiles_readable(self, damaged, aperio, name):
        with open_slide(damaged, reader=name) as slide, open_slide(aperio) as whole:
            with pytest.raises(SlideError):
                slide.read(Region(0, 0, Size(64, 64)))
            beside = Region(64, 64, Size(64, 64))
            np.testing.assert_array_equal(slide.read(beside), whole.read(beside))


class TestMissingLibrary:
    @pytest.fixture
    def without(self, monkeypatch):
        """Make libraries impossible to import, as where they are not installed."""

        def take_away(*names):
            for name in names:
                monkeypatch.setitem(sys.modules, name, None)
                monkeypatch.delitem(sys.modules, f"wsikd.slides.{name}", raising=False)

        return take_away

    def test_is_named_with_its_remedy_when_its_reader_is_forced(self, aperio, without):
        without("openslide")
        message = (
            "^reader 'openslide' is not installed; pip install openslide-python openslide-bin$"
        )
        with pytest.raises(ConfigError, match=message):
            open_slide(aperio, reader="openslide")

    @pytest.mark.parametrize("compression", ["jpeg", "lzw"])
    def test_is_passed_over_where_another_reader_suits(self, tmp_path, without, compression):
        without("openslide")
        with open_slide(tiff(tmp_path / "a.tif", compression=compression)) as slide:
            assert slide.name == "tiffslide"

    def test_is_passed_over_in_favour_of_the_second_best(self, aperio, without):
        without("tiffslide")
        with open_slide(aperio) as slide:
            assert slide.name == "openslide"

    def test_is_named_where_no_other_reader_suits(self, tmp_path, without):
        without("openslide", "tiffslide")
        message = (
            r"a.tif: no reader knows it without openslide, tiffslide; "
            r"pip install openslide-python openslide-bin tiffslide imagecodecs simplejpeg$"
        )
        with pytest.raises(SlideError, match=message):
            open_slide(tiff(tmp_path / "a.tif"))

    def test_is_told_from_a_fault_of_our_own(self, aperio, monkeypatch):
        monkeypatch.setitem(READERS, "tiffslide", ReaderPlace("wsikd.slides.gone:Reader", "gone"))
        with pytest.raises(ModuleNotFoundError, match=r"wsikd\.slides\.gone"):
            open_slide(aperio)


def test_libraries_are_imported_only_when_a_slide_is_opened():
    code = (
        "import sys, wsikd.slides, wsikd.slides.reader, wsikd.slides.image;"
        "print([name for name in ('openslide', 'tiffslide', 'tifffile') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
