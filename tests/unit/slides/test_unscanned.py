import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsikd.geometry import Region, Size
from wsikd.slides import ArrayReader, open_slide
from wsikd.slides.unscanned import is_outside, share_of_cells


@given(st.data())
def test_a_share_is_the_mean_of_the_mask_drawn_large(data):
    """Both are drawn on their common multiple, where each cell is a block of whole entries."""
    rows, columns, height, width = (data.draw(st.integers(1, 7)) for _ in range(4))
    values = st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns)
    mask = np.array(data.draw(values)).reshape(rows, columns)
    large = mask.repeat(height, axis=0).repeat(width, axis=1)
    expected = large.reshape(height, rows, width, columns).mean(axis=(1, 3))
    np.testing.assert_allclose(share_of_cells(mask, Size(width, height)), expected, atol=1e-5)


def test_a_last_tile_counts_by_what_lies_on_the_slide():
    tiles = np.array([[False, True]])  # the second is on the slide by a quarter: 1.25 tiles wide
    shares = share_of_cells(tiles, Size(2, 1), (1.25, 1.0))
    assert shares.tolist() == [[0.0, pytest.approx(0.4)]]  # of 0.625 tiles 0.25 are missing


def test_what_is_outside_of_the_bounds_is_decided_by_half_a_cell():
    outside = is_outside(Region(4, 0, Size(21, 20)), Size(40, 20), Size(4, 1))  # cells 10 wide
    assert outside.tolist() == [[False, False, True, True]]  # inside: 6, 10, 5, 0 of 10


def sparse_tiff(path, **options):
    """Write 4 x 2 tiles of 64 pixels; the third of the upper row is left out."""
    grey = np.full((64, 64, 3), 217, np.uint8)
    tiles = iter([None if index == 2 else grey for index in range(8)])
    tifffile.imwrite(path, tiles, shape=(128, 256, 3), dtype=np.uint8, tile=(64, 64),
                     photometric="rgb", compression="jpeg", **options)  # fmt: skip
    return path


APERIO = "Aperio Image Library v10.0\n256x128 [0,0 256x128] (64x64) JPEG/RGB|AppMag = 20|MPP = 0.5"


@pytest.mark.parametrize("description", [None, APERIO], ids=["plain", "aperio"])
@pytest.mark.parametrize("name", ["openslide", "tiffslide"])
class TestTilesLeftOut:
    def test_are_unscanned(self, tmp_path, name, description):
        path = sparse_tiff(tmp_path / "a.tif", description=description, metadata=None)
        with open_slide(path, reader=name) as slide:
            found = slide.find_unscanned(Size(8, 4))
        expected = np.zeros((4, 8), bool)
        expected[:2, 4:6] = True
        np.testing.assert_array_equal(found, expected)

    def test_are_found_without_decoding_a_tile(self, tmp_path, name, description):
        path = sparse_tiff(tmp_path / "a.tif", description=description, metadata=None)
        with tifffile.TiffFile(path) as file:
            begin, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
        data = bytearray(path.read_bytes())
        data[begin : begin + count] = bytes(count)
        path.write_bytes(data)
        with open_slide(path, reader=name) as slide:
            assert slide.find_unscanned(Size(4, 2)).sum() == 1


def test_transparent_parts_of_a_picture_are_unscanned(tmp_path):
    pixels = np.full((20, 40, 4), 255, np.uint8)
    pixels[:11, 15:] = 0  # of cells of 10 x 10
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = [[False, True, True, True], [False, False, False, False]]
    with open_slide(tmp_path / "a.png") as picture, ArrayReader(pixels) as array:
        assert picture.find_unscanned(Size(4, 2)).tolist() == expected
        assert array.find_unscanned(Size(4, 2)).tolist() == expected


@pytest.mark.parametrize("name", ["openslide", "tiffslide"])
def test_a_whole_slide_has_no_unscanned_part(tmp_path, name):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((100, 90, 3), np.uint8), tile=(64, 64), photometric="rgb")
    with open_slide(path, reader=name) as slide:
        found = slide.find_unscanned(Size(9, 10))
    assert found.shape == (10, 9)
    assert not found.any()


def test_a_format_whose_tiles_openslide_places_is_asked_for_transparency(shared_data):
    with open_slide(shared_data / "dicom/camelyon_multiframe_jpeg.dcm") as slide:
        found = slide.find_unscanned(Size(115, 70))
    assert found.shape == (70, 115)
    assert not found.any()  # every frame is there
