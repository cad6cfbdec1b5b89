import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from wsikd.geometry import Mpp
from wsikd.nuclei.instances import find_instances, label_instances, paint
from wsikd.nuclei.objects import ObjectSettings

ALL = ObjectSettings(min_area_um2=0, split=False)


def draw_disks(shape, *disks):
    mask = np.zeros(shape, bool)
    for row, column, radius in disks:
        mask[disk((row, column), radius, shape=shape)] = True
    return mask


def scattered(height, width, count, seed=0):
    """Draw nuclei of 6 to 10 µm at 0.25 µm per pixel, of which many touch."""
    drawn = np.random.default_rng(seed)
    places = drawn.uniform((0, 0, 12), (height, width, 20), (count, 3))
    return draw_disks((height, width), *places)


def nuclei_of(mask, settings, mpp=None, rows=10_000):
    strips = [mask[top : top + rows] for top in range(0, len(mask), rows)]
    return [nucleus for found, _ in find_instances(strips, settings, mpp) for nucleus in found]


@pytest.mark.parametrize("rows", [1, 7, 100, 256, 333])
def test_does_not_depend_on_how_rows_are_cut(rows):
    mask = scattered(620, 90, 30)
    expected = label_instances(mask, ObjectSettings())
    found = np.zeros_like(expected)
    for number, nucleus in enumerate(nuclei_of(mask, ObjectSettings(), rows=rows), start=1):
        paint(found, nucleus, number)
    np.testing.assert_array_equal(found, expected)


def test_does_not_depend_on_what_is_above_or_beside():
    mask = scattered(300, 300, 30)
    alone = {nucleus.outline.wkt for nucleus in nuclei_of(mask, ObjectSettings())}
    shifted = np.zeros((500, 420), bool)
    shifted[137:437, 60:360] = mask
    shifted[:100, :50] = True
    moved = nuclei_of(shifted, ObjectSettings())
    moved = [nucleus for nucleus in moved if nucleus.left >= 60]
    back = {
        type(nucleus)(nucleus.left - 60, nucleus.top - 137, nucleus.mask).outline.wkt
        for nucleus in moved
    }
    assert back == alone


def test_without_a_split_gives_what_scipy_gives():
    mask = scattered(300, 300, 40)
    expected, count = ndimage.label(mask)
    found = label_instances(mask, ALL)
    assert found.max() == count
    np.testing.assert_array_equal(found > 0, expected > 0)


@pytest.mark.parametrize("mpp", [None, Mpp(0.25, 0.25), Mpp(0.5, 0.5)])
def test_divides_nuclei_that_touch_at_the_neck(mpp):
    scale = 0.5 if mpp == Mpp(0.5, 0.5) else 1
    disks = [(40, 40, 16), (40, 68, 16), (40, 96, 16)]
    mask = draw_disks((80, 140), *[[scale * value for value in each] for each in disks])
    found = sorted(nuclei_of(mask, ObjectSettings(), mpp), key=lambda nucleus: nucleus.left)
    for nucleus, (row, column, _) in zip(found, disks, strict=True):
        assert nucleus.centroid == pytest.approx((scale * column, scale * row), abs=1.5)
    assert sum(nucleus.area_px for nucleus in found) == np.count_nonzero(mask)


def test_leaves_a_long_nucleus_whole():
    rows, columns = np.ogrid[:60, :100]
    ellipse = ((rows - 30) / 10) ** 2 + ((columns - 50) / 24) ** 2 <= 1
    assert label_instances(ellipse, ObjectSettings()).max() == 1


def test_fills_small_holes_and_keeps_large_ones():
    mask = draw_disks((100, 220), (50, 50, 40), (50, 150, 40))
    mask[48:53, 48:53] = False  # 25 px, of 160 that are 10 µm²
    mask[disk((50, 150), 12)] = False  # 441 px
    labels = label_instances(mask, ObjectSettings(split=False))
    assert labels[50, 50] == 1
    assert labels[50, 150] == 0
    first, second = nuclei_of(mask, ObjectSettings(split=False))
    assert [len(each.outline.interiors) for each in (first, second)] == [0, 1]


@pytest.mark.parametrize(("mpp", "count"), [(None, 1), (Mpp(0.25, 0.25), 1), (Mpp(0.2, 0.5), 2)])
def test_leaves_out_what_is_smaller_than_10_square_micrometres(mpp, count):
    mask = np.zeros((40, 60), bool)
    mask[10:20, 10:26] = True  # 160 px: 10 µm² at 0.25
    mask[10:20, 35:50] = True  # 150 px: 9.4 µm² at 0.25, 15 µm² at 0.2 x 0.5
    settings = ObjectSettings(split=False)
    assert label_instances(mask, settings, mpp).max() == count


def test_measures_pixels_as_squares():
    mask = np.zeros((30, 30), bool)
    mask[4:10, 20:24] = True
    (nucleus,) = nuclei_of(mask, ALL)
    assert nucleus.area_px == 24
    assert nucleus.centroid == (22.0, 7.0)
    assert nucleus.diameter_px == pytest.approx(2 * math.sqrt(24 / math.pi))
    assert nucleus.outline.bounds == (20, 4, 24, 10)


def test_says_above_which_row_all_is_known():
    mask = scattered(1500, 120, 60)
    known = 0
    for found, settled in find_instances([mask], ObjectSettings()):
        assert all(nucleus.top >= known for nucleus in found)
        known = settled
    assert known == 1500
