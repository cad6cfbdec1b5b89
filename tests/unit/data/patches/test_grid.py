import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from wsikd.data.patches.grid import covered

OUTLINE = shapely.Point(50, 50).buffer(40).difference(shapely.box(45, 45, 70, 60))


@given(left=st.floats(0, 90), top=st.floats(0, 90), side=st.floats(2, 60))
def test_covers_as_much_as_random_points_say(left, top, side):
    points = np.random.default_rng(0).uniform(size=(4000, 2)) * side + (left, top)
    counted = shapely.contains_xy(OUTLINE, points).mean()
    (share,) = covered(OUTLINE, np.array([[left, top, left + side, top + side]]))
    assert share == pytest.approx(counted, abs=0.05)


def test_knows_inside_outside_and_border():
    boxes = np.array([[20.0, 30, 30, 40], [0, 0, 5, 5], [50, 50, 60, 55], [40, 50, 50, 55]])
    assert covered(OUTLINE, boxes) == pytest.approx([1, 0, 0, 0.5])
