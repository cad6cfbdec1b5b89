"""Damage inside of tiles is noticed, told and, where that is asked for, read as white."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.errors import SlideError
from wsikd.geometry import Region, Size
from wsikd.slides import DamagedTile, open_slide
from wsikd.slides.jpeg import DamagedDataError, decode_jpeg

TILE, COLUMNS = 64, 3  # of 192 x 128 pixels
DAMAGED = 4  # number of the damaged tile, the second of the second row
BOX = Region(64, 64, Size(64, 64))


@pytest.fixture(scope="module")
def pixels():
    across = np.linspace(0, 12, 192)
    waves = 128 + 100 * np.sin(across) * np.cos(np.linspace(0, 9, 128))[:, None]
    noise = np.random.default_rng(0).normal(0, 12, (128, 192, 3))
    return np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)


def slide(path, pixels, **options):
    options = {"compression": "jpeg", "photometric": "rgb", "metadata": None, **options}
    tifffile.imwrite(path, pixels, tile=(TILE, TILE), **options)
    return path


def rewrite_tile(path, change, index=DAMAGED):
    """Replace a tile's data by what `change` makes of them, appended where they are longer."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        offsets, counts = page.tags["TileOffsets"], page.tags["TileByteCounts"]
        data = bytearray(path.read_bytes())
        new = change(bytes(data[offset : offset + count]))
        for tag, value in ((offsets, len(data)), (counts, len(new))):
            width = tag.dtype.value and {3: 2, 4: 4, 16: 8}[int(tag.dtype)]
            at = tag.valueoffset + index * width
            data[at : at + width] = value.to_bytes(width, "little")
    path.write_bytes(data + new)


def middle(data):
    """Return where the second half of the entropy-coded data begins."""
    scan = data.index(b"\xff\xda")
    return (scan + 12 + len(data)) // 2


def scanned(data):
    """Return where the entropy-coded data begin: after the marker of the scan and its header."""
    scan = data.index(b"\xff\xda") + 2
    return scan + int.from_bytes(data[scan : scan + 2], "big")


NOISE = np.random.default_rng(5).integers(0, 255, 200, np.uint8).tobytes()
DAMAGES = {
    "body zeroed": lambda data: data[: scanned(data)] + bytes(len(data) - scanned(data) - 2)
    + data[-2:],
    "early end": lambda data: data[: middle(data)] + b"\xff\xd9" + data[middle(data) + 2 :],
    "200 zeros": lambda data: data[: middle(data)] + bytes(200) + data[middle(data) + 200 :],
    "random bytes": lambda data: data[: middle(data)] + NOISE + data[middle(data) + 200 :],
    "bytes lost": lambda data: data[: middle(data)] + data[middle(data) + 100 :],
    "no end": lambda data: data[: middle(data)],
    "all zeros": lambda data: bytes(len(data)),
    "a smaller picture": lambda _: jpeg_of(np.zeros((16, 16, 3), np.uint8)),
}  # fmt: skip
HARMLESS = {
    "zeros after the end": lambda data: data + bytes(40),
    "noise after the end": lambda data: data + bytes(range(40)),
}


def jpeg_of(pixels):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "jpeg")
    return file.getvalue()


@pytest.mark.parametrize("name", ["openslide", "tiffslide"])
class TestJpegTile:
    @pytest.mark.parametrize("damage", DAMAGES)
    def test_is_an_error_that_says_where(self, tmp_path, pixels, name, damage):
        path = slide(tmp_path / "a.tif", pixels)
        rewrite_tile(path, DAMAGES[damage])
        message = (
            r"a.tif: the tile at x=64 y=64 of level 0 cannot be decoded \(.+\);"
            r" the file is damaged, copy it again$"
        )
        with open_slide(path, reader=name) as reader:
            with pytest.raises(SlideError, match=message):
                reader.read(Region(0, 0, Size(192, 128)))
            beside = reader.read(Region(0, 0, Size(192, 64)))
        np.testing.assert_array_equal(beside, whole(tmp_path, pixels)[:64])

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_is_white_and_noted_where_damage_is_tolerated(self, tmp_path, pixels, name, damage):
        path = slide(tmp_path / "a.tif", pixels)
        rewrite_tile(path, DAMAGES[damage])
        with open_slide(path, reader=name) as reader:
            reader.tolerate_damage()
            seen = reader.read(Region(10, 20, Size(170, 100)))
            reader.read(Region(70, 70, Size(4, 4)))
            assert reader.damaged == {DamagedTile(0, BOX, "")}
        expected = whole(tmp_path, pixels).copy()
        expected[64:128, 64:128] = 255
        np.testing.assert_array_equal(seen, expected[20:120, 10:180])

    @pytest.mark.parametrize("harmless", HARMLESS)
    def test_is_whole_with_bytes_around_its_end_mark(self, tmp_path, pixels, name, harmless):
        path = slide(tmp_path / "a.tif", pixels)
        rewrite_tile(path, HARMLESS[harmless])
        with open_slide(path, reader=name) as reader:
            seen = reader.read(Region(0, 0, Size(192, 128)))
        np.testing.assert_array_equal(seen, whole(tmp_path, pixels))

    def test_of_a_further_level_is_placed_at_level_0(self, tmp_path, name):
        path = tmp_path / "a.svs"
        draw_slide(path, "normal", DrawSettings(mpp=1.0, pieces=1, piece_mm=(0.5, 0.5), tile=64))
        with tifffile.TiffFile(path) as file:
            page = file.series[0].levels[1].pages[0]
            begin, count = page.dataoffsets[1], page.databytecounts[1]
        data = bytearray(path.read_bytes())
        data[begin + count // 2 : begin + count] = bytes(count - count // 2)
        path.write_bytes(data)
        with open_slide(path, reader=name) as reader:
            reader.tolerate_damage()
            reader.read(Region(0, 0, reader.level_sizes[1]), level=1)
            boxes = {tile.box for tile in reader.damaged}
            assert {tile.level for tile in reader.damaged} == {1}
        # nearly 4 level-0 pixels for each of its; OpenSlide blends it with the neighbour below
        assert Region(255, 0, Size(256, 255)) in boxes
        assert len(boxes) == (1 if name == "tiffslide" else 2)


def whole(folder, pixels):
    """Return what the slide shows without damage."""
    return tifffile.imread(slide(folder / "whole.tif", pixels))


@pytest.mark.parametrize("compression", ["adobe_deflate", "lzw"])
@pytest.mark.parametrize("name", ["openslide", "tiffslide"])
def test_a_hole_in_losslessly_compressed_data_is_noticed(tmp_path, pixels, name, compression):
    path = slide(tmp_path / "a.tif", pixels, compression=compression)
    rewrite_tile(path, lambda data: data[:900] + bytes(200) + data[1100:])
    with open_slide(path, reader=name) as reader:
        reader.tolerate_damage()
        seen = reader.read(Region(0, 0, Size(192, 128)))
        assert {tile.box for tile in reader.damaged} == {BOX}
    pixels = pixels.copy()
    pixels[64:128, 64:128] = 255
    np.testing.assert_array_equal(seen, pixels)


@pytest.mark.parametrize("damage", [key for key in DAMAGES if key != "a smaller picture"])
def test_a_damaged_jpeg_picture_is_refused(tmp_path, pixels, damage):
    data = jpeg_of(pixels)
    (tmp_path / "a.jpg").write_bytes(DAMAGES[damage](data))
    with pytest.raises(SlideError, match=r"a.jpg: "):
        open_slide(tmp_path / "a.jpg", reader="image")


def test_a_damaged_png_picture_is_refused(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(SlideError, match=r"a.png: a picture that cannot be decoded"):
        open_slide(tmp_path / "a.png")


class TestColourSpace:
    """What the TIFF says of its samples goes before what their JPEG header says."""

    PLANES = np.random.default_rng(1).integers(60, 200, (4, 4, 3)).repeat(32, 0).repeat(32, 1)

    @pytest.mark.parametrize("mark", [b"", b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01"])
    def test_samples_are_taken_for_what_the_tiff_says(self, mark):
        pixels = self.PLANES.astype(np.uint8)
        data = jpeg_of(pixels)  # in YCbCr, by its JFIF header
        data = data[:2] + mark + data[2:]
        as_rgb = decode_jpeg(data, "rgb").astype(int)
        in_ycbcr = np.asarray(Image.fromarray(pixels).convert("YCbCr")).astype(int)
        assert np.abs(decode_jpeg(data, "ycbcr").astype(int) - pixels).mean() < 6
        assert np.abs(as_rgb - in_ycbcr).mean() < 6

    def test_what_is_no_jpeg_is_refused(self):
        with pytest.raises(DamagedDataError, match="not a JPEG picture"):
            decode_jpeg(b"II*\0", "rgb")


def test_damage_in_one_plane_of_a_planar_tiff_is_noticed(tmp_path, pixels):
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    path = slide(tmp_path / "planar.tif", planes, planarconfig="separate")
    with open_slide(path) as reader:
        read = reader.read(BOX).astype(int)
    assert np.abs(read - pixels[64:128, 64:128]).max() < 40  # JPEG's own loss
    one_plane = 6
    rewrite_tile(path, lambda data: data[: middle(data)] + b"\xff\xd9", one_plane + DAMAGED)
    with pytest.raises(SlideError, match=r"planar\.tif"), open_slide(path) as reader:
        reader.read(BOX)
