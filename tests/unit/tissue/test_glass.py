from pathlib import Path

import numpy as np
import pytest

from wsikd.errors import NotBrightfieldError
from wsikd.geometry import Mpp
from wsikd.tissue.glass import find_ground, glass_colour

PATH = Path("s.svs")
PINK = (230, 190, 215)


def picture(height=200, width=300, grey=240):
    return np.full((height, width, 3), grey, np.uint8)


def ground(pixels, unscanned=None):
    if unscanned is None:
        unscanned = np.zeros(pixels.shape[:2], bool)
    return find_ground(pixels, unscanned, PATH)


def test_glass_is_not_the_few_pixels_brighter_than_it():
    pixels = picture()
    pixels[:1, :, :] = 255  # half a percent
    assert glass_colour(pixels, PATH).tolist() == [240, 240, 240]


def test_glass_may_have_a_cast():
    pixels = np.full((50, 50, 3), (250, 235, 240), np.uint8)
    pixels[:25] = PINK
    assert glass_colour(pixels, PATH).tolist() == [250, 235, 240]


def test_glass_is_white_where_tissue_fills_the_picture():
    pixels = np.full((50, 50, 3), (200, 120, 180), np.uint8)
    assert glass_colour(pixels, PATH).tolist() == [245, 245, 245]


def test_refuses_fluorescence_by_its_darkest_channel():
    pixels = np.zeros((50, 50, 3), np.uint8)
    pixels[..., 2] = 215
    with pytest.raises(NotBrightfieldError, match=r"^s.svs: must be brightfield, .* is 0 of 255; "):
        glass_colour(pixels, PATH)


def test_refuses_bright_spots_on_black():
    pixels = np.full((50, 50, 3), 12, np.uint8)
    pixels[:10] = 255
    with pytest.raises(NotBrightfieldError, match="half of its pixels are at most 12 of 255"):
        glass_colour(pixels, PATH)


@pytest.mark.parametrize("fill", [0, 255], ids=["black", "white"])
def test_fill_around_the_glass_is_not_the_glass(fill):
    pixels = picture(grey=fill)
    pixels[60:160, 40:200] = 217
    pixels[90:120, 90:140] = PINK
    found = ground(pixels)
    assert found.colour.tolist() == [217, 217, 217]
    # but for a pixel on the border of both, which mixes them
    assert found.nothing[:59].all()
    assert not found.nothing[62:158, 42:198].any()


def test_fill_may_be_a_corner_of_the_picture():
    pixels = picture(grey=217)
    pixels[120:, 180:] = 0
    found = ground(pixels)
    assert found.colour.tolist() == [217, 217, 217]
    assert found.nothing[121:, 181:].all()


def test_what_the_file_says_is_unscanned_does_not_count_whatever_its_colour():
    pixels, unscanned = picture(grey=217), np.zeros((200, 300), bool)
    unscanned[:, 100:] = True
    pixels[:, 100:] = 250
    assert ground(pixels, unscanned).colour.tolist() == [217, 217, 217]


def test_white_glass_is_glass_and_not_fill():
    pixels = picture(grey=255)
    random = np.random.default_rng(0)
    pixels[40:160, 40:160] = random.integers(150, 250, (120, 120, 3))
    found = ground(pixels)
    assert found.colour.tolist() == [255, 255, 255]
    assert not found.nothing.any()


def test_white_specks_beside_tissue_are_no_fill():
    pixels = picture(grey=250)
    pixels[40:160, 40:160] = PINK
    pixels[60:70, 60:70] = 255
    assert not ground(pixels).nothing.any()


def test_a_black_border_is_no_dark_background_even_if_most_of_the_picture():
    pixels = picture(grey=8)
    pixels[120:, :250] = 240
    found = ground(pixels)
    assert found.colour.tolist() == [240, 240, 240]
    assert found.black.sum() == 120 * 300 + 80 * 50


def test_grey_fluorescence_on_exact_black_is_still_refused():
    pixels = picture(grey=0)
    random = np.random.default_rng(0)
    for row, column in random.integers(20, 180, (30, 2)):
        pixels[row : row + 12, column : column + 12] = random.integers(30, 255)
    with pytest.raises(NotBrightfieldError):
        ground(pixels)


def test_bright_specks_between_finer_pixels_do_not_change_the_glass():
    fine = np.full((800, 1200, 3), 150, np.uint8)  # tissue, at 2 µm per pixel
    fine[:, :300] = 240
    fine[::4, 300::4] = (254, 241, 255)  # a sixteenth of it, as in the cells of fat
    coarse = fine.reshape(200, 4, 300, 4, 3).mean(axis=(1, 3)).astype(np.uint8)
    none = np.zeros((800, 1200), bool)
    assert find_ground(coarse, none[::4, ::4], PATH, Mpp(8.0, 8.0)).colour.tolist() == [240] * 3
    assert find_ground(fine, none, PATH, Mpp(2.0, 2.0)).colour.tolist() == [240] * 3


def test_blocks_that_are_unscanned_in_part_do_not_count_for_the_glass():
    fine, unscanned = np.full((401, 602, 3), 217, np.uint8), np.zeros((401, 602), bool)
    fine[:, 201:], unscanned[:, 201:] = 255, True  # in the middle of a block of 4
    assert find_ground(fine, unscanned, PATH, Mpp(2.0, 2.0)).colour.tolist() == [217] * 3


def test_a_slide_of_fill_alone_is_refused():
    with pytest.raises(NotBrightfieldError, match="is fill alone"):
        ground(picture(), np.ones((200, 300), bool))


@pytest.mark.parametrize("fill", [250, 252, 254])
def test_fill_that_is_nearly_white_is_no_glass(fill):
    pixels = np.full((200, 300, 3), fill, np.uint8)
    pixels[40:160, 40:260] = 217
    found = ground(pixels, np.zeros((200, 300), bool))
    assert found.colour.tolist() == [217, 217, 217]
    assert found.nothing[:30].all()
    assert not found.nothing[60:140, 60:240].any()


def test_glass_of_250_is_glass_beside_a_little_darker_glass():
    pixels = np.full((200, 300, 3), 250, np.uint8)
    pixels[:, 200:] = 244
    assert not ground(pixels, np.zeros((200, 300), bool)).nothing.any()
