"""Formats as scanners and other programs write them, each read as its library reads it."""

import shutil

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from wsikd.errors import SlideError
from wsikd.geometry import Region, Size
from wsikd.slides import open_slide
from wsikd.slides.sniff import is_dicom_volume

SIZE = Size(200, 150)

REAL = [  # file, reader, format, levels
    ("slides/CMU-1-Small-Region.svs", "tiffslide", "aperio", 1),
    ("slides/TCGA-CR-7395-01A-01-TS1.svs", "openslide", "aperio", 2),  # JPEG 2000
    ("slides/metaplasia_stomach_HE_10x.tif", "tiffslide", "generic-tiff", 3),
    ("slides/CMU-1-Small-Region.jpeg.tiff", "tiffslide", "generic-tiff", 1),
    ("slides/test3-DAPI-2-387.ndpi", "openslide", "hamamatsu", 7),
    ("dicom/camelyon_multiframe_jpeg.dcm", "openslide", "dicom", 1),
    ("dicom/boxes_synthetic_dicom", "openslide", "dicom", 1),
]


@pytest.mark.parametrize(("file", "reader", "kind", "levels"), REAL)
def test_a_real_slide_is_read_as_openslide_reads_it(shared_data, file, reader, kind, levels):
    path = shared_data / file
    first = sorted(path.iterdir())[0] if path.is_dir() else path
    with open_slide(path) as slide, openslide.OpenSlide(first) as plain:
        assert (slide.name, slide.format, len(slide.level_sizes)) == (reader, kind, levels)
        size = Size(min(SIZE.width, slide.size.width), min(SIZE.height, slide.size.height))
        x, y = (slide.size.width - size.width) // 2, (slide.size.height - size.height) // 2
        expected = np.asarray(plain.read_region((x, y), 0, size).convert("RGB"))
        np.testing.assert_array_equal(slide.read(Region(x, y, size)), expected)
        assert slide.notes == ()


def test_an_ndpi_is_read_by_tiffslide_too(shared_data):
    path = shared_data / "slides/test3-DAPI-2-387.ndpi"
    box = Region(1500, 2000, SIZE)
    with (
        open_slide(path, reader="tiffslide") as one,
        open_slide(path, reader="openslide") as other,
    ):
        np.testing.assert_array_equal(one.read(box), other.read(box))
        assert one.stated_mpp == pytest.approx(other.stated_mpp)
        assert one.objective_power == other.objective_power


def test_damage_in_an_ndpi_is_noticed(shared_data, tmp_path):
    path = shared_data / "slides/test3-DAPI-2-387.ndpi"
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        middle = len(page.dataoffsets) // 2
        begin, count = page.dataoffsets[middle], page.databytecounts[middle]
    data = bytearray(path.read_bytes())
    data[begin + 2 : begin + count] = bytes(count - 2)
    (tmp_path / "a.ndpi").write_bytes(data)
    with open_slide(tmp_path / "a.ndpi") as slide:
        slide.tolerate_damage()
        whole = slide.read(Region(0, 0, slide.size))
        boxes = [tile.box for tile in slide.damaged]
    assert boxes
    rows = sorted({box.y for box in boxes})
    assert len(rows) <= 2  # of one row of blocks
    for box in boxes:
        right, bottom = box.x + box.size.width, box.y + box.size.height
        assert (whole[box.y : bottom, box.x : right] == 255).all()


class TestDicom:
    @pytest.fixture
    def series(self, shared_data, tmp_path):
        """A series that OpenSlide refuses, its label and overview before its level by name."""
        folder = tmp_path / "series"
        folder.mkdir()
        source = shared_data / "dicom" / "CMU-1-Small-Region_dicom_jpeg"
        for file in sorted(source.iterdir()):
            shutil.copy(file, folder / ("z.dcm" if is_dicom_volume(file) else f"a{file.name}"))
        return folder

    def test_a_level_is_told_from_a_label(self, series):
        assert [file.name[0] for file in sorted(series.iterdir())] == ["a", "a", "z"]

    def test_an_error_names_a_level_and_not_the_label(self, series):
        with pytest.raises(SlideError, match=r"/z\.dcm: OpenSlide refuses it \(Unsupported"):
            open_slide(series)


@pytest.mark.parametrize("suffix", ["png", "bmp", "jp2", "webp", "jpg", "tif"])
def test_pictures_of_every_kind_are_read_by_what_they_are(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    pixels = pixels.repeat(8, axis=0).repeat(8, axis=1)
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **options.get(suffix, {}))
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.svs")  # the name tells nothing
    with open_slide(tmp_path / "a.svs") as slide:
        seen = slide.read(Region(0, 0, slide.size))
        assert slide.name == ("tiffslide" if suffix == "tif" else "image")
    assert np.abs(seen.astype(int) - pixels).max() <= (4 if suffix == "jpg" else 0)


class TestLeica:
    """Two scanned areas on a slide of 2000 x 3000 pixels of 1 µm, which OpenSlide alone places."""

    PLACES = ((1000, 1000), (1200, 1900))  # x and y of the areas, 512 x 256 pixels each
    AREA = """
      <image name="area" uuid="urn:uuid:{0}"><creationDate>2010-01-01T00:00:00Z</creationDate>
      <device model="m" version="1"/><pixels sizeX="{4}" sizeY="{5}">
      <dimension sizeX="{4}" sizeY="{5}" r="0" ifd="{0}"/></pixels>
      <view sizeX="{6}" sizeY="{7}" offsetX="{1}" offsetY="{2}" spacingZ="0"/><scanSettings>
      <objectiveSettings><objective>{3}</objective></objectiveSettings><illuminationSettings>
      <numericalAperture>0.4</numericalAperture>
      <illuminationSource>brightfield</illuminationSource>
      </illuminationSettings></scanSettings></image>"""

    @pytest.fixture
    def scn(self, tmp_path):
        path = tmp_path / "a.scn"
        images = self.AREA.format(0, 0, 0, 0.6, 100, 150, 2_000_000, 3_000_000)
        for number, (x, y) in enumerate(self.PLACES, start=1):
            images += self.AREA.format(number, x * 1000, y * 1000, 10, 512, 256, 512_000, 256_000)
        xml = (
            '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"'
            ' uuid="urn:uuid:x"><collection name="c" uuid="urn:uuid:y" sizeX="2000000"'
            f' sizeY="3000000"><barcode>x</barcode>{images}</collection></scn>'
        )
        options = {"photometric": "rgb", "tile": (64, 64), "compression": "jpeg", "metadata": None}
        options |= {"resolution": (10_000, 10_000), "resolutionunit": "CENTIMETER"}
        areas = np.random.default_rng(0).integers(0, 255, (2, 256, 512, 3), np.uint8)
        with tifffile.TiffWriter(path, bigtiff=True) as writer:
            writer.write(np.full((150, 100, 3), 200, np.uint8), description=xml, **options)
            for area in areas:
                writer.write(area, **options)
        return path

    def test_its_areas_are_where_they_were_scanned_and_white_around(self, scn):
        expected = np.full((3000, 2000, 3), 255, np.uint8)
        for number, (x, y) in enumerate(self.PLACES, start=1):
            expected[y : y + 256, x : x + 512] = tifffile.imread(scn, key=number)
        with open_slide(scn) as slide:
            assert (slide.name, slide.format) == ("openslide", "leica")
            assert (slide.size, slide.objective_power) == (Size(2000, 3000), 10.0)
            assert slide.stated_mpp == pytest.approx((1.0, 1.0))
            np.testing.assert_array_equal(slide.read(Region(0, 0, slide.size)), expected)

    def test_what_was_not_scanned_is_known(self, scn):
        scanned = np.zeros((3000, 2000), bool)
        for x, y in self.PLACES:
            scanned[y : y + 256, x : x + 512] = True
        share = scanned.reshape(30, 100, 20, 100).mean(axis=(1, 3))
        with open_slide(scn) as slide:
            found = slide.find_unscanned(Size(20, 30))
        np.testing.assert_array_equal(found, share < 0.5)

    def test_tiffslide_leaves_it_to_openslide(self, scn):
        with pytest.raises(SlideError, match=r"a.scn: unsupported, .*, got 2 pictures of like"):
            open_slide(scn, reader="tiffslide")
