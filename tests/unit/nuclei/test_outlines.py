import numpy as np
import pytest
from scipy import ndimage
from shapely import box, union_all

from wsikd.nuclei.outlines import count_holes, trace


def components(seed):
    """Draw noise, whose components touch themselves by corners in every way."""
    drawn = np.random.default_rng(seed)
    labels, count = ndimage.label(drawn.random((16, 14)) > drawn.choice([0.2, 0.3, 0.4, 0.5]))
    return [labels == number for number in range(1, count + 1)]


@pytest.mark.parametrize("seed", range(12))
def test_is_the_union_of_its_pixels(seed):
    for mask in components(seed):
        y, x = np.nonzero(mask)
        outline = trace(mask, left=5, top=7)
        assert outline.is_valid
        assert outline.equals(union_all(box(x + 5, y + 7, x + 6, y + 8)))
        assert outline.area == np.count_nonzero(mask)


@pytest.mark.parametrize("seed", range(12))
def test_counts_holes_as_filling_them_does(seed):
    for mask in components(seed):
        filled = ndimage.binary_fill_holes(mask)
        _, holes = ndimage.label(filled & ~mask)
        assert count_holes(mask) == holes == len(trace(mask).interiors)


def test_turns_at_corners_only():
    outline = trace(np.ones((3, 200), bool))
    assert list(outline.exterior.coords) == [(0, 0), (200, 0), (200, 3), (0, 3), (0, 0)]
