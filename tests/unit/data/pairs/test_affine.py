import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from wsikd.data.pairs.affine import Window, bounds, corners, sample
from wsikd.data.patches import Place
from wsikd.geometry import Mpp, Size

PLACE = Place("s", 20.0, 10.0, 16.0, 12.0)  # 32 x 24 pixels of 0.5 µm
SIZE = Size(32, 24)


def smooth(width=160, height=120):
    noise = np.random.default_rng(1).uniform(0, 255, (height, width, 3))
    return np.clip(3 * (ndimage.gaussian_filter(noise, (3, 3, 0)) - 127) + 127, 0, 255).astype(
        np.uint8
    )


def sampled(pixels, transform, mpp=0.5, kernel="bilinear"):
    window = Window(pixels, 0.0, 0.0, Mpp(mpp, mpp))
    return sample(window, corners(PLACE, transform), SIZE, kernel)


def by_scipy(pixels, transform, mpp=0.5):
    """Map the centre of each pixel of the patch, in float64."""
    a, b, c, d, e, f = transform
    y, x = (np.indices((24, 32)) + 0.5) * 0.5 + np.array([10.0, 20.0])[:, None, None]
    at = [(d * x + e * y + f) / mpp - 0.5, (a * x + b * y + c) / mpp - 0.5]
    channels = [
        ndimage.map_coordinates(pixels[..., k].astype(float), at, order=1) for k in range(3)
    ]
    return np.stack(channels, axis=2)


def test_the_identity_copies_pixels():
    pixels = smooth()
    for kernel in ("bilinear", "lanczos"):
        found = sampled(pixels, (1, 0, 0, 0, 1, 0), kernel=kernel)
        np.testing.assert_array_equal(found, pixels[20:44, 40:72])


@pytest.mark.parametrize(
    "transform",
    [
        (1, 0, 3.2, 0, 1, -2.1),
        (0.8, 0.3, 4.0, -0.3, 0.8, 12.0),
        (0, -1, 40, 1, 0, 0),
        (-1, 0, 60, 0, 1, 5),
        (1, 0.1, 0, 0, 1, 0),
    ],
    ids=["shift", "turn and scale", "quarter turn", "mirror", "shear"],
)
def test_samples_where_scipy_does(transform):
    pixels = smooth()
    assert np.abs(sampled(pixels, transform) - by_scipy(pixels, transform)).max() < 1.5


def test_a_coarser_slide_is_interpolated():
    pixels = smooth(40, 30)
    found = sampled(pixels, (1, 0, 0, 0, 1, 0), mpp=2.0)
    assert np.abs(found - by_scipy(pixels, (1, 0, 0, 0, 1, 0), mpp=2.0)).max() < 1.5


def test_a_finer_slide_is_reduced_without_aliasing():
    noise = np.random.default_rng(0).integers(0, 256, (240, 400, 3), np.uint8)
    found = sampled(noise, (1, 0, 0, 0, 1, 0), mpp=0.125)
    whole = np.asarray(Image.fromarray(noise).resize((100, 60), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(found, whole[20:44, 40:72])
    turned = sampled(noise, (0, 1, 12, 1, 0, -8), mpp=0.125)  # x and y change places
    across = whole[24:56, 44:68].transpose(1, 0, 2)
    assert np.abs(turned.astype(int) - across).max() <= 1


def test_bounds_hold_a_turned_patch():
    box = bounds(corners(PLACE, (0, -1, 40, 1, 0, 0)))
    assert box == (40 - 22, 20, 40 - 10, 36)
