import numpy as np
import pytest

from wsikd.geometry import Mpp
from wsikd.tissue import TissueSettings
from wsikd.tissue.glass import Ground
from wsikd.tissue.light import sort_pixels
from wsikd.tissue.stain import label_pieces

GLASS = np.array([240, 240, 240], np.float32)
MPP = Mpp(8.0, 8.0)
PINK = (230, 190, 215)  # loses a fifth of the green


def picture(height=200, width=300):
    return np.full((height, width, 3), 240, np.uint8)


def label(pixels, mpp=MPP, **settings):
    nothing = np.zeros(pixels.shape[:2], bool)
    chosen = TissueSettings(**settings)
    found = sort_pixels(pixels, Ground(GLASS, nothing, nothing), mpp, chosen)
    return label_pieces(found.tissue, found.halo, found.marks.left_out, mpp, chosen)


def count(pixels, **settings):
    return int(label(pixels, **settings).max())


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
    labels = label(pixels)
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


def test_lengths_are_micrometres_at_any_resolution():
    pixels = picture()
    pixels[40:160, 60:100] = PINK
    pixels[40:160, 116:200] = PINK
    fine = pixels.repeat(2, axis=0)  # 4 µm along y, 8 µm along x
    coarse = label(pixels)
    labels = label(fine, Mpp(8.0, 4.0))
    assert labels.max() == coarse.max() == 2
    assert (labels[::2] != coarse).mean() < 0.01


def test_strips_leave_no_seam():
    tall, short = picture(2100, 120), picture(2100, 120)
    rows, columns = np.mgrid[-60:60, -60:60]
    ring = (np.hypot(rows, columns) < 55) & (np.hypot(rows - 10, columns) > 5)
    short[100:220][ring] = PINK
    tall[964:1084][ring] = PINK  # across row 1024
    expected = label(short)
    assert (np.roll(expected, 864, axis=0) == label(tall)).all()
