import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import mapping

from wsikd.data.patches.coverage import covered

OUTLINE = shapely.Point(50, 50).buffer(40).difference(shapely.box(45, 45, 70, 60))


def by_shapely(outline, boxes):
    squares = shapely.box(*boxes.T)
    return shapely.area(shapely.intersection(outline, squares)) / shapely.area(squares)


def star(random, corners, x, y, radius):
    """A polygon with corners in all directions about a point, at random distances from it."""
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    far = radius * random.uniform(0.3, 1.0, corners)
    return shapely.Polygon(np.stack([x + far * np.cos(angles), y + far * np.sin(angles)], axis=1))


def outlines(random):
    """Two pieces, the first with a hole."""
    piece = star(random, 40, 500, 400, 380)
    hole = star(random, 12, 500, 400, 80)
    other = star(random, 25, 1300, 500, 200)
    return shapely.make_valid(shapely.union(shapely.difference(piece, hole), other))


@given(seed=st.integers(0, 10_000))
def test_agrees_with_a_geometry_library_on_any_rectangles(seed):
    random = np.random.default_rng(seed)
    outline = outlines(random)
    corners = random.uniform(-100, 1500, (50, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 400, (50, 2))], axis=1)
    found = covered(mapping(outline), boxes)
    np.testing.assert_allclose(found, by_shapely(outline, boxes), atol=2e-9)


def test_agrees_with_a_geometry_library_on_a_grid_with_corners_on_it():
    outline = shapely.Polygon([(0, 0), (64, 0), (64, 32), (32, 32), (32, 96), (0, 96)])
    left, top = np.meshgrid(np.arange(0, 64, 16.0), np.arange(0, 96, 16.0))
    corners = np.stack([left, top], axis=-1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 16], axis=1)
    assert covered(mapping(outline), boxes).tolist() == by_shapely(outline, boxes).tolist()


@pytest.mark.parametrize("turned", [False, True])
def test_does_not_ask_which_way_a_ring_turns(turned):
    ring = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)]
    hole = [(1, 1), (2, 1), (2, 2), (1, 2), (1, 1)]
    rings = [ring[::-1], hole] if turned else [ring, hole]
    outline = {"type": "Polygon", "coordinates": rings}
    assert covered(outline, np.array([[0.0, 0.0, 4.0, 4.0]])).tolist() == [15 / 16]


def test_a_rectangle_that_is_all_tissue_has_a_share_of_exactly_one():
    random = np.random.default_rng(1)
    angles = np.linspace(0, 2 * np.pi, 2001)
    far = 1e5 + random.uniform(-100, 100, 2001)
    ring = np.stack([1e5 + far * np.cos(angles), 1e5 + far * np.sin(angles)], axis=1)
    ring[-1] = ring[0]
    outline = {"type": "Polygon", "coordinates": [ring.tolist()]}
    corners = random.uniform(7e4, 12e4, (200, 2))
    boxes = np.concatenate([corners, corners + 896.0], axis=1)
    assert (covered(outline, boxes) == 1.0).all()
    assert (covered(outline, boxes + 3e5) == 0.0).all()


@given(left=st.floats(0, 90), top=st.floats(0, 90), side=st.floats(2, 60))
def test_covers_as_much_as_random_points_say(left, top, side):
    points = np.random.default_rng(0).uniform(size=(4000, 2)) * side + (left, top)
    counted = shapely.contains_xy(OUTLINE, points).mean()
    (share,) = covered(mapping(OUTLINE), np.array([[left, top, left + side, top + side]]))
    assert share == pytest.approx(counted, abs=0.05)


def test_knows_inside_outside_and_border():
    boxes = np.array([[20.0, 30, 30, 40], [0, 0, 5, 5], [50, 50, 60, 55], [40, 50, 50, 55]])
    assert covered(mapping(OUTLINE), boxes) == pytest.approx([1, 0, 0, 0.5])
