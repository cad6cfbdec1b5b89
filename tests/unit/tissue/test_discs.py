import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from wsikd.geometry import Mpp
from wsikd.tissue.discs import drop_narrow, erode, fill_narrow

masks = st.tuples(st.integers(1, 30), st.integers(1, 30)).flatmap(
    lambda shape: arrays(
        bool, shape, elements=st.sampled_from([True] * 9 + [False]), fill=st.just(True)
    )
)
lengths = st.sampled_from([0.25, 0.2528, 1.0, 3.956, 8.0])


def further_than(mask, radius_um, mpp):
    """Keep what the distance transform, which must have an outside, has further from it."""
    if mask.all():
        return mask
    return ndimage.distance_transform_edt(mask, (mpp.y, mpp.x)) > radius_um


@given(mask=masks, pixels=st.floats(0, 40), x=lengths, y=lengths)
def test_eroding_keeps_what_the_distance_transform_has_further_away(mask, pixels, x, y):
    mpp = Mpp(x, y)
    radius_um = pixels * min(mpp)
    kept = erode(mask, radius_um, mpp)
    np.testing.assert_array_equal(kept, further_than(mask, radius_um, mpp))


@pytest.mark.parametrize("radius", [5, 13, 25])
def test_pixels_just_at_the_radius_are_not_further(radius):
    # 5 = |(3, 4)|, 13 = |(5, 12)|, 25 = |(7, 24)|: distances without rounding
    mask = np.ones((61, 61), bool)
    mask[30, 30] = False
    rows, columns = np.mgrid[-30:31, -30:31]
    np.testing.assert_array_equal(
        erode(mask, float(radius), Mpp(1, 1)), rows**2 + columns**2 > radius**2
    )


def test_the_edge_of_the_picture_is_not_outside():
    assert erode(np.ones((4, 5), bool), 100.0, Mpp(1, 1)).all()


def test_the_mask_itself_stays_as_it_is():
    mask = np.array([[True, True, False]])
    erode(mask, 1.0, Mpp(1, 1))
    assert mask.tolist() == [[True, True, False]]


@pytest.mark.parametrize(("gap", "is_filled"), [(10, True), (11, False)])
def test_gaps_up_to_the_width_are_filled(gap, is_filled):
    mask = np.ones((40, 60), bool)
    mask[:, 20 : 20 + gap] = False
    assert fill_narrow(mask, 10.0, Mpp(1, 1))[:, 20 : 20 + gap].all() == is_filled


@pytest.mark.parametrize(("width", "is_kept"), [(10, False), (11, True)])
def test_bands_narrower_than_the_width_are_dropped(width, is_kept):
    mask = np.zeros((40, 60), bool)
    mask[:, 20 : 20 + width] = True
    assert drop_narrow(mask, 10.0, Mpp(1, 1)).any() == is_kept
