import numpy as np
import pytest
from skimage import morphology

from wsikd.geometry import Mpp
from wsikd.nuclei.objects import ObjectSettings, mask_rows, smooth

RAW = ObjectSettings(smooth=False)


def confidences(height, width, seed=0, scale=4):
    """Draw patches of confidence a few pixels wide."""
    drawn = np.random.default_rng(seed).random((-(-height // scale), -(-width // scale)))
    return np.kron(drawn, np.ones((scale, scale)))[:height, :width].astype(np.float32)


def smoothed_by_skimage(mask, radii):
    """Do as the published code does."""
    for radius in radii:
        disk = morphology.disk(radius)
        mask = morphology.closing(
            morphology.opening(mask, disk, mode="ignore"), disk, mode="ignore"
        )
    return mask


@pytest.mark.parametrize(
    ("mpp", "radii"),
    [
        (None, (3, 1)),
        (Mpp(0.25, 0.25), (3, 1)),
        (Mpp(0.5, 0.5), (2, 1)),
        (Mpp(0.125, 0.125), (6, 2)),
    ],
)
@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (90, 61)])
def test_smooths_like_skimage_with_radii_in_micrometres(mpp, radii, shape):
    mask = confidences(*shape) > 0.4
    np.testing.assert_array_equal(smooth(mask, mpp), smoothed_by_skimage(mask, radii))


@pytest.mark.parametrize("rows", [1, 7, 256, 300, 1000])
@pytest.mark.parametrize("height", [1, 15, 300, 700])
def test_rows_give_what_the_whole_field_gives(rows, height):
    field = confidences(height, 50)
    strips = (field[top : top + rows] for top in range(0, height, rows))
    found = np.concatenate(list(mask_rows(strips, ObjectSettings(), 0.4, None)))
    np.testing.assert_array_equal(found, smoothed_by_skimage(field > np.float32(0.4), (3, 1)))


def test_rows_come_once_and_in_order_however_they_are_cut():
    heights = [0, 3, 500, 0, 12, 256, 1, 1]
    field = confidences(sum(heights), 5)
    parts = np.split(field, np.cumsum(heights)[:-1])
    found = np.concatenate(list(mask_rows(parts, ObjectSettings(), 0.5, Mpp(9.0, 9.0))))
    np.testing.assert_array_equal(found, field > 0.5)  # a pixel is larger than either disk


def test_a_stated_threshold_goes_before_that_of_the_model():
    row = np.array([[0.1, 0.3, 0.5, 0.7, 0.9]], np.float32)
    assert next(iter(mask_rows([row], RAW, 0.5, None))).tolist() == [[False] * 3 + [True] * 2]
    stated = ObjectSettings(smooth=False, threshold=0.2)
    assert next(iter(mask_rows([row], stated, 0.5, None))).tolist() == [[False] + [True] * 4]
