from pathlib import Path

import numpy as np
import pytest

from wsikd.errors import NotBrightfieldError
from wsikd.geometry import Mpp
from wsikd.tissue import TissueSettings
from wsikd.tissue.stain import glass_colour, label_pieces

PATH = Path("s.svs")
GLASS = np.array([240, 240, 240], np.float32)
MPP = Mpp(8.0, 8.0)
PINK = (230, 190, 215)  # loses a fifth of the green


def picture(height=200, width=300):
    return np.full((height, width, 3), 240, np.uint8)


def count(pixels, **settings):
    return int(label_pieces(pixels, GLASS, MPP, TissueSettings(**settings)).max())


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


def test_finds_pale_tinted_tissue():
    pixels = picture()
    pixels[50:150, 50:150] = (240, 225, 236)  # loses a sixteenth of the green
    assert count(pixels) == 1


def test_finds_grey_tissue_by_its_texture_but_not_the_flat_shade_of_a_coverslip():
    shade, grey = picture(), picture()
    shade[50:150, 50:150] = 222
    grey[50:150, 50:150] = np.random.default_rng(0).integers(202, 242, (100, 100, 1))
    assert (count(shade), count(grey)) == (0, 1)


@pytest.mark.parametrize(("gap_px", "pieces"), [(7, 1), (14, 2)])
def test_joins_across_gaps_up_to_the_width_asked_for(gap_px, pieces):
    pixels = picture()
    pixels[50:150, 20:100] = PINK
    pixels[50:150, 100 + gap_px : 200] = PINK
    assert count(pixels, join_um=80, smoothing_um=0) == pieces


def test_keeps_holes_wider_than_the_gap():
    pixels = picture()
    pixels[50:150, 50:150] = PINK
    pixels[80:120, 80:120] = 240
    labels = label_pieces(pixels, GLASS, MPP, TissueSettings())
    assert labels[100, 100] == 0
    assert labels[60, 60] == 1


def test_drops_scratches_however_long():
    pixels = picture()
    pixels[:, 100:103] = 100  # 24 µm wide and 1.6 mm long
    assert count(pixels, min_area_mm2=0) == 0


@pytest.mark.parametrize(("side_px", "pieces"), [(39, 0), (41, 1)])
def test_drops_pieces_below_the_smallest_area(side_px, pieces):
    pixels = picture()
    pixels[50 : 50 + side_px, 50 : 50 + side_px] = PINK
    # 40 pixels of 8 µm are 0.32 mm
    assert count(pixels, min_area_mm2=0.32**2, smoothing_um=0, min_width_um=0) == pieces


def test_green_ink_is_tissue_only_when_asked_for():
    pixels = picture()
    pixels[50:150, 50:150] = (60, 180, 150)
    assert count(pixels) == 0
    assert count(pixels, drop_green_ink=False) == 1


def test_lengths_are_micrometres_at_any_resolution():
    pixels = picture()
    pixels[40:160, 60:100] = PINK
    pixels[40:160, 116:200] = PINK
    fine = pixels.repeat(2, axis=0)  # 4 µm along y, 8 µm along x
    coarse = label_pieces(pixels, GLASS, MPP, TissueSettings())
    labels = label_pieces(fine, GLASS, Mpp(8.0, 4.0), TissueSettings())
    assert labels.max() == coarse.max() == 2
    assert (labels[::2] != coarse).mean() < 0.01


def test_strips_leave_no_seam():
    tall, short = picture(2100, 120), picture(2100, 120)
    rows, columns = np.mgrid[-60:60, -60:60]
    ring = (np.hypot(rows, columns) < 55) & (np.hypot(rows - 10, columns) > 5)
    short[100:220][ring] = PINK
    tall[964:1084][ring] = PINK  # across row 1024
    expected = label_pieces(short, GLASS, MPP, TissueSettings())
    assert (
        np.roll(expected, 864, axis=0) == label_pieces(tall, GLASS, MPP, TissueSettings())
    ).all()
