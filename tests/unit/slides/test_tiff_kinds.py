"""Kinds of TIFF that look alike and mean other pixels: shown as they are meant, or refused."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from wsikd.errors import SlideError, UnsupportedSlideError
from wsikd.geometry import Mpp, Region
from wsikd.slides import open_slide, resolution_of

READERS = [None, "openslide", "tiffslide", "image"]
RGB = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
ALPHA = np.random.default_rng(1).choice(np.array([64, 128, 255], np.uint8), (128, 192, 1))
APERIO = "Aperio Image Library v10.0\n192x128 [0,0 192x128] (64x64) JPEG/RGB Q=90"


MEANT = {
    0: RGB.astype(int),  # no transparency, whatever it is
    1: (RGB.astype(int) * ALPHA + 127) // 255 + 255 - ALPHA,  # colours were multiplied by it
    2: (RGB.astype(int) * ALPHA + 255 * (255 - ALPHA.astype(int)) + 127) // 255,
}
STORED = {
    "tiles": {"tile": (64, 64)},
    "strips": {"rowsperstrip": 16},
    "deflate": {"tile": (64, 64), "compression": "adobe_deflate"},
    "webp": {
        "tile": (64, 64),
        "compression": "webp",
        "compressionargs": {"lossless": True, "level": 100},
    },
}

PALETTE = np.random.default_rng(2).integers(0, 256, (3, 256)).astype(np.uint16) * 257

KINDS = {
    "planar": (np.moveaxis(RGB, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}, RGB),
    "palette": (
        RGB[..., 0],
        {"photometric": "palette", "colormap": PALETTE},
        (PALETTE.T >> 8).astype(np.uint8)[RGB[..., 0]],
    ),
    "inverted": (
        RGB[..., 0],
        {"photometric": "miniswhite"},
        255 - np.stack([RGB[..., 0]] * 3, axis=2),
    ),
    "grey": (RGB[..., 0], {"photometric": "minisblack"}, np.stack([RGB[..., 0]] * 3, axis=2)),
}


def read_all(path, reader=None):
    with open_slide(path, reader=reader) as slide:
        return slide.read(Region(0, 0, slide.size))


def read_or_refusal(path, reader=None):
    """Return the pixels, or None from a reader that refuses the file in one line."""
    try:
        return read_all(path, reader)
    except SlideError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert "copy" not in refusal  # as the file is whole
    return None


class TestFourthChannel:
    @staticmethod
    def write(path, kind, stored):
        colours = (RGB.astype(int) * ALPHA + 127) // 255 if kind == 1 else RGB
        samples = np.concatenate([colours, ALPHA], axis=2).astype(np.uint8)
        tifffile.imwrite(path, samples, photometric="rgb", extrasamples=[kind], **stored)

    @pytest.mark.parametrize("reader", READERS)
    @pytest.mark.parametrize("stored", STORED)
    @pytest.mark.parametrize("kind", MEANT)
    def test_is_shown_as_it_is_meant_or_refused(self, tmp_path, kind, stored, reader):
        self.write(tmp_path / "a.tif", kind, STORED[stored])
        pixels = read_or_refusal(tmp_path / "a.tif", reader)
        if pixels is None:
            assert reader in ("openslide", "image")
        else:
            # an alpha of 64 keeps a quarter of OpenSlide's grey levels
            assert np.abs(pixels - MEANT[kind]).max() <= (2 if reader == "openslide" else 1)

    def test_is_refused_by_openslide_when_it_is_no_transparency(self, tmp_path):
        self.write(tmp_path / "a.tif", 0, STORED["tiles"])
        message = (
            r"a.tif: unsupported by OpenSlide, got ExtraSamples \[0\], a channel that is no"
            r" transparency; read it with another reader$"
        )
        with pytest.raises(UnsupportedSlideError, match=message):
            open_slide(tmp_path / "a.tif", reader="openslide")

    @pytest.mark.parametrize("reader", READERS)
    def test_of_grey_with_transparency_is_composited_or_refused(self, tmp_path, reader):
        samples = np.concatenate([RGB[..., :1], ALPHA], axis=2)
        tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack",
                         planarconfig="contig", extrasamples=[2], tile=(64, 64))  # fmt: skip
        pixels = read_or_refusal(tmp_path / "a.tif", reader)
        assert (pixels is None) == (reader == "openslide")
        if pixels is not None:
            assert np.abs(pixels - MEANT[2][..., :1]).max() <= 1


class TestOrientation:
    @pytest.mark.parametrize("reader", READERS)
    @pytest.mark.parametrize("orientation", range(2, 9))
    def test_other_than_upright_is_refused_by_every_reader(self, tmp_path, orientation, reader):
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", tile=(64, 64), extratags=[tag])
        with pytest.raises(SlideError, match=f"Orientation {orientation}"):
            open_slide(tmp_path / "a.tif", reader=reader)

    def test_of_a_picture_of_a_camera_is_refused(self, tmp_path):
        exif = Image.Exif()
        exif[274] = 6
        Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
        message = r"a.jpg: must be stored upright, is turned or mirrored \(Orientation 6\); save it"
        with pytest.raises(SlideError, match=message):
            open_slide(tmp_path / "a.jpg")


class TestSeveralPictures:
    LARGE = RGB.repeat(4, axis=0).repeat(4, axis=1)

    @staticmethod
    def write(path, *pictures):
        with tifffile.TiffWriter(path, ome=True) as writer:
            for pixels, mpp in pictures:
                metadata = {"axes": "YXS"}
                if mpp:
                    metadata |= {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
                writer.write(pixels, photometric="rgb", tile=(64, 64), metadata=metadata)

    @pytest.mark.parametrize("reader", READERS)
    def test_the_largest_is_the_slide_wherever_it_stands(self, tmp_path, reader):
        self.write(tmp_path / "a.ome.tif", (RGB, 8.0), (self.LARGE, 0.5))
        pixels = read_or_refusal(tmp_path / "a.ome.tif", reader)
        assert (pixels is None) == (reader in ("openslide", "image"))
        if pixels is not None:
            np.testing.assert_array_equal(pixels, self.LARGE)

    def test_the_resolution_is_that_of_the_largest(self, tmp_path):
        self.write(tmp_path / "a.ome.tif", (RGB, 8.0), (self.LARGE, 0.5))
        with open_slide(tmp_path / "a.ome.tif") as slide:
            assert slide.stated_mpp == Mpp(0.5, 0.5)

    @pytest.mark.parametrize("reader", READERS)
    @pytest.mark.parametrize("rows", [512, 400])
    def test_two_scenes_are_refused(self, tmp_path, reader, rows):
        self.write(tmp_path / "a.ome.tif", (self.LARGE, 0.5), (255 - self.LARGE[:rows], 0.5))
        with pytest.raises(SlideError) as refusal:
            open_slide(tmp_path / "a.ome.tif", reader=reader)
        if reader in (None, "tiffslide"):
            expected = f"got 2 pictures of like size, such as 768 x 512 and 768 x {rows}; convert"
            assert expected in str(refusal.value)

    def test_of_a_plain_tiff_openslide_reads_the_first_and_says_so(self, tmp_path):
        stack = np.stack([self.LARGE, 255 - self.LARGE])
        tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", tile=(64, 64))
        with open_slide(tmp_path / "a.tif") as slide:
            assert slide.name == "openslide"
            assert slide.notes == (
                "OpenSlide reads the first picture of a file with axes QYXS of 2 x 512 x 768 x 3",
            )
            np.testing.assert_array_equal(slide.read(Region(0, 0, slide.size)), self.LARGE)

    def test_pictures_of_one_size_in_a_plain_tiff_are_unsupported(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.stack([RGB] * 3), photometric="rgb")
        with pytest.raises(UnsupportedSlideError, match=r"got axes .YXS of 3 x 128 x 192 x 3; "):
            open_slide(tmp_path / "a.tif")


class TestSamples:
    """Samples that are stored otherwise than most."""

    @pytest.mark.parametrize("reader", [None, "openslide", "tiffslide"])
    @pytest.mark.parametrize("layout", [{"tile": (64, 64)}, {"rowsperstrip": 16}], ids=str)
    @pytest.mark.parametrize("kind", KINDS)
    def test_are_shown_as_they_are_meant(self, tmp_path, kind, layout, reader):
        stored, options, meant = KINDS[kind]
        tifffile.imwrite(tmp_path / "a.tif", stored, **options, **layout)
        pixels = read_or_refusal(tmp_path / "a.tif", reader)
        if pixels is None:
            assert (reader, *layout) == ("openslide", "rowsperstrip")  # no format it knows
        else:
            np.testing.assert_array_equal(pixels, meant)

    @pytest.mark.parametrize("reader", READERS)
    def test_of_sixteen_bits_are_refused(self, tmp_path, reader):
        wide = RGB.astype(np.uint16) * 16  # as of a camera of twelve bits
        tifffile.imwrite(tmp_path / "a.tif", wide, photometric="rgb", tile=(64, 64))
        assert read_or_refusal(tmp_path / "a.tif", reader) is None

    def test_that_only_openslide_knows_are_left_to_it(self, tmp_path):
        grey = np.full((128, 192, 3), 128, np.uint8)  # luma, and no colour
        grey[..., 0] = RGB[..., 0]
        tifffile.imwrite(tmp_path / "a.tif", grey, photometric="ycbcr", subsampling=(1, 1),
                         tile=(64, 64))  # fmt: skip
        with open_slide(tmp_path / "a.tif") as slide:
            assert slide.name == "openslide"


@pytest.mark.parametrize("name", ["a::b.tif", "zip::a.tif", "a b.tif", "ä.tif", "a#b?.tif"])
def test_any_name_of_a_file_will_do(tmp_path, name):
    tifffile.imwrite(tmp_path / name, RGB, photometric="rgb", tile=(64, 64))
    np.testing.assert_array_equal(read_all(tmp_path / name), RGB)


class TestStatedResolution:
    @pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
    @pytest.mark.parametrize(
        ("stated", "mpp", "power"),
        [
            ("|AppMag = 20|MPP = 0.5", Mpp(0.5, 0.5), 20.0),
            ("|AppMag = 20|MPP = 1,0000", Mpp(1.0, 1.0), 20.0),
            ("|AppMag = 40|MPP = ", None, 40.0),
            ("|AppMag = |MPP = 0.25", Mpp(0.25, 0.25), None),
            ("|AppMag = 20x|MPP = 0.5", Mpp(0.5, 0.5), 20.0),
            ("|AppMag = 40 X|MPP = unknown", None, 40.0),
            ("", None, None),
        ],
    )
    def test_of_aperio_is_read_however_it_is_written(self, tmp_path, reader, stated, mpp, power):
        tifffile.imwrite(tmp_path / "a.svs", RGB, photometric="rgb", tile=(64, 64),
                         compression="jpeg", description=APERIO + stated,
                         metadata=None)  # fmt: skip
        with open_slide(tmp_path / "a.svs", reader=reader) as slide:
            assert (slide.format, slide.stated_mpp, slide.objective_power) == ("aperio", mpp, power)

    @pytest.mark.parametrize(
        ("size", "unit", "mpp"),
        [
            (0.25, "µm", 0.25),
            (250.0, "nm", 0.25),
            (0.00025, "mm", 0.25),
            (2.5e-5, "cm", 0.25),
            (0.25, None, 0.25),  # of the schema
            (0.25, "pixel", None),
            (0.25, "reference frame", None),
        ],
    )
    def test_of_ome_xml_has_its_unit(self, tmp_path, size, unit, mpp):
        metadata = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeY": 2 * size}
        if unit is not None:
            metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
        tifffile.imwrite(tmp_path / "a.ome.tif", RGB, photometric="rgb", metadata=metadata)
        with open_slide(tmp_path / "a.ome.tif") as slide:
            assert slide.stated_mpp == (mpp and pytest.approx(Mpp(mpp, 2 * mpp)))
            assert slide.format == "ome-tiff"

    def test_of_ome_xml_goes_before_that_of_the_tags(self, tmp_path):
        metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        tifffile.imwrite(tmp_path / "a.ome.tif", RGB, photometric="rgb", metadata=metadata,
                         resolution=(300, 300), resolutionunit="INCH")  # fmt: skip
        with open_slide(tmp_path / "a.ome.tif") as slide:
            assert (slide.stated_mpp, slide.notes) == (Mpp(0.5, 0.5), ())

    @pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
    def test_of_imagej_is_in_its_description(self, tmp_path, unit):
        tifffile.imwrite(tmp_path / "a.tif", RGB, imagej=True, resolution=(4, 4),
                         metadata={"axes": "YXS", "unit": unit})  # fmt: skip
        with open_slide(tmp_path / "a.tif") as slide:
            assert slide.stated_mpp == Mpp(0.25, 0.25)

    @pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
    @pytest.mark.parametrize(
        ("per_unit", "unit", "dpi"),
        [(300, "INCH", "300"), (72, "INCH", "72"), (118.11, "CENTIMETER", "300"),
         (1200, "INCH", "1200")],
    )  # fmt: skip
    def test_for_printing_counts_as_unknown_and_is_named(
        self, tmp_path, reader, per_unit, unit, dpi
    ):
        tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", tile=(64, 64),
                         resolution=(per_unit, per_unit), resolutionunit=unit)  # fmt: skip
        with open_slide(tmp_path / "a.tif", reader=reader) as slide:
            assert slide.stated_mpp is None
            message = (
                rf"a.tif: no µm per pixel known; the {dpi} dpi of its resolution tag say how to"
                r" print it and are ignored; state it with --mpp"
            )
            with pytest.raises(SlideError, match=message):
                resolution_of(slide)

    @pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
    @pytest.mark.parametrize(
        ("per_unit", "unit", "mpp"),
        [(50_800, "INCH", 0.5), (20_000, "CENTIMETER", 0.5), (625, "CENTIMETER", 16.0)],
    )
    def test_of_the_tags_is_the_scanners_where_it_is_fine(
        self, tmp_path, reader, per_unit, unit, mpp
    ):
        tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", tile=(64, 64),
                         resolution=(per_unit, per_unit), resolutionunit=unit)  # fmt: skip
        with open_slide(tmp_path / "a.tif", reader=reader) as slide:
            assert slide.stated_mpp == pytest.approx(Mpp(mpp, mpp))
