import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from wsikd.data.augment.warp import crop, rotate


def random_images(count, height, width):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, height, width, generator=generator)


@pytest.mark.parametrize(
    ("height", "width", "top", "left", "window"),
    [
        (0.75, 1.0, 0.0, 0.0, (slice(0, 12), slice(0, 20))),
        (0.8, 0.9, 0.999, 0.5, (slice(3, 16), slice(1, 19))),  # 12.8 rows are 13
        (1.0, 0.76, 0.0, 0.5, (slice(0, 16), slice(3, 18))),  # 15.2 columns are 15
        (0.5, 0.5, 0.5, 0.999, (slice(4, 12), slice(10, 20))),
        (0.01, 0.01, 0.7, 0.3, (slice(11, 12), slice(6, 7))),  # one pixel at least
    ],
)
def test_crops_as_cutting_and_interpolating_do(height, width, top, left, window):
    images = random_images(2, 16, 20)
    kept = np.array([1.0, height]), np.array([1.0, width])
    place = np.array([0.5, top]), np.array([0.5, left])
    part = F.interpolate(images[1:, :, *window], (16, 20), mode="bilinear")
    expected = torch.cat([images[:1], part])
    torch.testing.assert_close(crop(images, kept, place), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("degrees", [10, 77, 130, 180])
def test_rotates_as_scipy_does(degrees):
    images = random_images(2, 24, 32)
    rotated = rotate(images, np.radians([0.0, degrees]))
    expected = ndimage.rotate(
        images[1].numpy(), degrees, (2, 1), reshape=False, order=0, mode="grid-constant"
    )
    assert torch.equal(rotated[0], images[0])
    # a place between two pixels may go to either
    assert (rotated[1].numpy() != expected).any(0).mean() < 0.02


@pytest.mark.parametrize("turns", range(1, 4))
def test_rotates_counter_clockwise_as_quarter_turns_do(turns):
    images = random_images(1, 12, 12)
    rotated = rotate(images, np.array([turns * math.pi / 2]))
    assert torch.equal(rotated, images.rot90(turns, (2, 3)))
