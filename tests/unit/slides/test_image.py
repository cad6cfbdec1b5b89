import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from wsikd.errors import SlideError
from wsikd.geometry import Region, Size
from wsikd.slides.image import ImageReader


def read_all(path):
    with ImageReader(path) as reader:
        return reader.read(Region(0, 0, reader.size))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "jp2", "webp"])
def test_gives_the_pixels_of_lossless_formats(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **options)
    np.testing.assert_array_equal(read_all(tmp_path / f"a.{suffix}"), pixels)


def test_composites_transparency_on_white(tmp_path):
    pixels = np.array([[[0, 0, 0, 0], [200, 100, 0, 51]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    # 51 / 255 is a fifth: 0.2 * 200 + 0.8 * 255 = 244
    assert read_all(tmp_path / "a.png").tolist() == [[[255, 255, 255], [244, 224, 204]]]


def test_gives_grey_pictures_three_channels(tmp_path):
    Image.new("L", (3, 2), 40).save(tmp_path / "a.png")
    assert (read_all(tmp_path / "a.png") == 40).all()


def test_takes_no_resolution_from_printing_tags(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png", dpi=(25400, 25400))
    with ImageReader(tmp_path / "a.png") as reader:
        assert reader.stated_mpp is None


def test_refuses_sixteen_bits(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(SlideError, match=r"a.png: must have 8 bits a channel, got mode I;16"):
        ImageReader(tmp_path / "a.png")


def test_refuses_sixteen_bits_in_colour(tmp_path):
    wide = np.full((2, 2, 3), 4000, np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(wide))
    with pytest.raises(SlideError, match=r"a.png: must have 8 bits a channel, got 16 bits;"):
        ImageReader(tmp_path / "a.png")


def test_refuses_a_truncated_picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:2000])
    with pytest.raises(SlideError, match=r"cut.jpg: a picture that cannot be decoded \(Prem"):
        ImageReader(tmp_path / "cut.jpg")


def test_refuses_a_picture_that_would_fill_the_memory(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", header), (b"IDAT", b""))
    ]
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(SlideError, match=r"huge.png: too large .*; convert it to a tiled TIFF$"):
        ImageReader(tmp_path / "huge.png")


def test_reads_a_part_where_it_is(tmp_path):
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with ImageReader(tmp_path / "a.png") as reader:
        np.testing.assert_array_equal(reader.read(Region(2, 1, Size(3, 2))), pixels[1:3, 2:5])
