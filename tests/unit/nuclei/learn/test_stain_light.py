import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.color import hed2rgb, rgb2hed

from wsikd.nuclei.learn.stain_light import haematoxylin_light

bytes_but_black = st.integers(1, 255)  # skimage's darkest is not 1 of 255


def of_pixels(pixels):
    """Light that haematoxylin leaves of bytes (height, width, 3), shape (height, width)."""
    return haematoxylin_light(torch.from_numpy(pixels / 255).permute(2, 0, 1)[None])[0, 0]


@settings(deadline=None, max_examples=30)
@given(pixels=arrays.arrays(np.uint8, (3, 4, 3), elements=bytes_but_black))
def test_is_the_red_of_an_image_that_skimage_makes_of_its_haematoxylin_alone(pixels):
    stains = rgb2hed(pixels)
    stains[..., 1:] = 0
    np.testing.assert_allclose(of_pixels(pixels), hed2rgb(stains)[..., 0], atol=1e-9)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_keeps_the_type_and_the_place_of_each_image(kind):
    images = torch.rand(2, 3, 4, 5, dtype=kind)
    light = haematoxylin_light(images)
    assert (light.shape, light.dtype) == ((2, 1, 4, 5), kind)
    torch.testing.assert_close(haematoxylin_light(images[1:]), light[1:])


def test_black_is_as_dark_as_the_darkest_byte_and_finite():
    assert of_pixels(np.zeros((1, 1, 3))) == of_pixels(np.ones((1, 1, 3)))


def test_white_and_what_holds_no_haematoxylin_is_light():
    pure_eosin = 255 * np.exp(-np.array([0.07, 0.99, 0.11]))
    pixels = np.array([[[255, 255, 255], pure_eosin]])
    torch.testing.assert_close(of_pixels(pixels), torch.ones(1, 2, dtype=torch.double))


def test_more_haematoxylin_leaves_less_light_whatever_the_eosin():
    amounts = torch.tensor([0.0, 0.5, 1.0, 2.0], dtype=torch.double)
    blue, pink = (torch.tensor(each).double() for each in ([0.65, 0.70, 0.29], [0.07, 0.99, 0.11]))
    colours = torch.exp(-(amounts[:, None, None] * blue + amounts[:, None] * pink))  # (H, E, 3)
    light = haematoxylin_light(colours.permute(2, 0, 1)[None])[0, 0]
    torch.testing.assert_close(light, torch.exp(-0.65 * amounts)[:, None].expand(4, 4))
