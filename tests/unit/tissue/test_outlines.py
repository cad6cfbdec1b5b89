import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from shapely import Point, Polygon, box

from wsikd.geometry import Region, Size
from wsikd.tissue.outlines import cut, gather_crumbs, trace_outlines


def test_a_rectangle_reaches_its_outermost_pixels_edges():
    labels = np.zeros((30, 40), np.int32)
    labels[5:25, 10:40] = 1
    (outline,) = trace_outlines(labels, (2.5, 4.0))
    # columns 10 to 40 times 2.5, rows 5 to 25 times 4; a corner may lose half a pixel
    assert outline.bounds == pytest.approx((25, 20, 100, 100), abs=2.0)
    assert outline.area == pytest.approx(75 * 80, rel=0.01)


def test_a_hole_is_an_inner_ring():
    labels = np.zeros((40, 40), np.int32)
    labels[5:35, 5:35] = 1
    labels[15:25, 15:25] = 0
    (outline,) = trace_outlines(labels, (1.0, 1.0))
    assert len(outline.interiors) == 1
    assert outline.area == pytest.approx(900 - 100, rel=0.01)
    assert not outline.contains(Point(20, 20))


@given(seed=st.integers(0, 999), sigma=st.sampled_from([1.0, 3.0]))
def test_outlines_of_any_shape_are_valid_and_as_large_as_their_pixels(seed, sigma):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(60, 60)), sigma)
    labels, count = ndimage.label(noise > 0, np.ones((3, 3)))
    outlines = trace_outlines(labels, (1.0, 1.0))
    assert len(outlines) == count
    for label, outline in enumerate(outlines, start=1):
        assert outline.is_valid
        assert abs(outline.area - (labels == label).sum()) <= 0.5 * outline.length


def test_parts_that_do_not_touch_are_one_outline_without_chips():
    labels = np.zeros((40, 60), np.int32)
    labels[5:35, 5:25] = 1
    labels[5:35, 30:50] = 1
    labels[10, 57] = 1
    (outline,) = trace_outlines(labels, (1.0, 1.0))
    assert outline.is_valid
    assert outline.bounds == pytest.approx((5, 5, 50, 35), abs=0.5)
    # corners lose an eighth of a pixel each
    assert outline.area == pytest.approx(2 * 30 * 20 - 8 / 8, abs=1e-6)


def test_no_labels_give_no_outlines():
    assert trace_outlines(np.zeros((5, 5), np.int32), (1.0, 1.0)) == []


def test_pieces_of_like_size_stay_apart_where_their_boxes_overlap():
    slanted = Polygon([(0, 0), (100, 90), (100, 100), (90, 100)])
    other = box(60, 0, 90, 30)
    assert len(gather_crumbs([slanted, other])) == 2


def test_parts_make_up_the_piece_and_boxes_without_tissue_are_left_out():
    corner = box(0, 0, 20, 20) - box(10, 10, 20, 20)
    cells = [Region(x, y, Size(10, 10)) for y in (0, 10) for x in (0, 10)]
    parts = cut(corner, cells)
    assert [cell for cell, _ in parts] == cells[:3]
    assert [part.area for _, part in parts] == [100, 100, 100]
