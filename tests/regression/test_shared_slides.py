"""What the real slides of the development data open as, and that both libraries agree on them."""

import numpy as np
import pytest

from wsikd.errors import MissingResolutionError, SlideError
from wsikd.geometry import Region, Size
from wsikd.slides import open_slide, resolution_of

# file: reader, format, size, levels, µm per level-0 pixel (None: not known)
SLIDES = {
    "slides/CMU-1-Small-Region.jpeg.tiff": ("tiffslide", "generic-tiff", (2220, 2967), 1, None),
    "slides/CMU-1-Small-Region.svs": ("tiffslide", "aperio", (2220, 2967), 1, 0.499),
    "slides/CMU-1-Small-Region.webp.tiff": ("tiffslide", "generic-tiff", (2220, 2967), 1, None),
    "slides/EAS4_HE_odd26x_div16.svs": ("tiffslide", "aperio", (4748, 3049), 4, 6.4736),
    "slides/EAS5_grey_2.5x.tif": ("tiffslide", "generic-tiff", (4147, 1405), 4, 4.208288),
    "slides/OS-1-detail.ome.tif": ("tiffslide", "ome-tiff", (1101, 1101), 1, 0.2271),
    "slides/TCGA-CR-7395-01A-01-TS1.svs": ("openslide", "aperio", (4443, 3567), 2, None),
    "slides/arachnoid-cyst_HE_5x.tif": ("tiffslide", "generic-tiff", (4463, 4586), 4, 2.104144),
    "slides/boxes_synthetic.tiff": ("tiffslide", "generic-tiff", (300, 250), 4, None),
    "slides/breast-lobular-carcinoma_HE_2.5x.tif":
        ("tiffslide", "generic-tiff", (7346, 3453), 4, 4.0448),
    "slides/giardia_duodenum_HE_5x.tif": ("tiffslide", "generic-tiff", (9912, 3889), 5, 2.104144),
    "slides/glycogenstorage_liver_HE_nomag.tif":
        ("tiffslide", "generic-tiff", (3768, 3375), 3, None),
    "slides/lung-scc_HE3_40x.svs": ("tiffslide", "aperio", (17883, 16091), 6, 0.263),
    "slides/metaplasia_stomach_HE_10x.tif": ("tiffslide", "generic-tiff", (3300, 2922), 3, 1.0112),
    "slides/test3-DAPI-2-387.ndpi": ("openslide", "hamamatsu", (3968, 4864), 7, 0.228175),
    "bad/tissueloc_20181218042458.jpg": ("image", "jpeg", (1916, 1010), 1, None),
    "dicom/boxes_synthetic_dicom": ("openslide", "dicom", (16, 16), 1, 0.499),
    "dicom/camelyon_multiframe_jpeg.dcm": ("openslide", "dicom", (1152, 700), 1, 28.969),
    "dicom/highdicom_sm_image.dcm": ("openslide", "dicom", (50, 50), 1, 0.499),
}  # fmt: skip

REFUSED = {
    "bad/CMU-1-Small-Region_truncated60pct.svs": "the TIFF directory is missing or damaged",
    "bad/broken_histolab.svs": "begins with b'IJrEr1vV', which no reader knows",
    "dicom/CMU-1-Small-Region_dicom_jpeg": "OpenSlide refuses it (Unsupported photometric",
    "minerva_crc/CRC01_P37S29_IF8_5.20um.ome.tif": "in RGB or grey with 8 bits, got axes CYX",
}


@pytest.mark.parametrize("name", SLIDES)
def test_opens_with_the_reader_that_suits_it(shared_data, name):
    reader, form, size, levels, mpp = SLIDES[name]
    with open_slide(shared_data / name) as slide:
        assert (slide.name, slide.format) == (reader, form)
        assert (slide.size, len(slide.level_sizes)) == (Size(*size), levels)
        if mpp is None:
            with pytest.raises(MissingResolutionError, match="state it with --mpp"):
                resolution_of(slide)
        else:
            resolution = resolution_of(slide)
            assert resolution.mpp == pytest.approx((mpp, mpp), rel=1e-4)
            assert (resolution.source, resolution.warnings) == ("file", ())
        middle = Region(slide.size.width // 2, slide.size.height // 2, Size(4, 4))
        assert slide.read(middle).shape == (4, 4, 3)


def test_says_that_a_stated_resolution_is_implausible(shared_data):
    message = "the file's mpp of 0.00499 is implausible"
    with open_slide(shared_data / "slides" / "CMU-1-Small-Region.jpeg.tiff") as slide:
        with pytest.raises(MissingResolutionError, match=message):
            resolution_of(slide)
        (warning,) = resolution_of(slide, mpp=0.499).warnings
    assert warning.startswith(message)


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.webp.tiff", "OS-1-detail.ome.tif"])
def test_openslide_refuses_webp_and_ome_tiff(shared_data, name):
    with pytest.raises(SlideError, match=name):
        open_slide(shared_data / "slides" / name, reader="openslide")


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_cannot_be_read(shared_data, name, capfd):
    with pytest.raises(SlideError) as caught:
        open_slide(shared_data / name)
    assert REFUSED[name] in str(caught.value)
    assert str(caught.value).startswith(str(shared_data / name))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_fails_at_the_first_read_where_only_the_pixels_are_broken(shared_data):
    path = shared_data / "bad" / "unreadable_openslide-python.svs"
    with (
        open_slide(path) as slide,
        pytest.raises(SlideError, match=r"x=0 y=0 of level 0 cannot be decoded .*; the file"),
    ):
        slide.read(Region(0, 0, slide.size))


@pytest.mark.parametrize(
    "name",
    [name for name, (reader, *_) in SLIDES.items() if reader == "tiffslide"
     and not name.endswith(("webp.tiff", "ome.tif"))],
)  # fmt: skip
def test_openslide_reads_the_same_pixels_as_tiffslide(shared_data, name):
    path = shared_data / name
    with (
        open_slide(path, reader="openslide") as by_openslide,
        open_slide(path, reader="tiffslide") as by_tiffslide,
    ):
        assert by_openslide.level_sizes == by_tiffslide.level_sizes
        assert by_openslide.stated_mpp == pytest.approx(by_tiffslide.stated_mpp)
        assert by_openslide.objective_power == by_tiffslide.objective_power
        for level, size in enumerate(by_openslide.level_sizes):
            part = Region(0, 0, Size(min(size.width, 1500), min(size.height, 1500)))
            np.testing.assert_array_equal(
                by_openslide.read(part, level=level), by_tiffslide.read(part, level=level)
            )
        width, height = by_openslide.size
        side = Size(min(600, width // 2), min(600, height // 2))
        across = Region(width // 3, height // 3, side)  # borders of tiles
        np.testing.assert_array_equal(by_openslide.read(across), by_tiffslide.read(across))
