import colorsys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from pydantic import ValidationError
from skimage.color import hsv2rgb, rgb2hsv

from wsikd.data.augment.regions import AugmentationDraw, AugmentSettings, augment, draw_augmentation

GEOMETRY = ("flip_horizontal", "flip_vertical", "quarter_turns")


def random_image(height=9, width=13):
    drawn = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return drawn, torch.from_numpy(drawn).permute(2, 0, 1) / 255


def as_pixels(image):
    return (image.permute(1, 2, 0) * 255).numpy()


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.5])
@pytest.mark.parametrize(
    ("operation", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
def test_changes_colours_as_pillow_does(operation, enhancer, factor):
    pixels, image = random_image()
    expected = np.asarray(enhancer(Image.fromarray(pixels)).enhance(factor), float)
    changed = augment(image, AugmentationDraw(colour=((operation, factor),)))
    # Pillow cuts to whole grey levels, also of the grey image
    np.testing.assert_allclose(as_pixels(changed), expected, atol=1.6)


@pytest.mark.parametrize("turns", [-0.5, -0.2, 1 / 6, 0.2, 0.5])
def test_turns_the_hue_as_scikit_image_does(turns):
    pixels, image = random_image()
    hsv = rgb2hsv(pixels)
    hsv[..., 0] = (hsv[..., 0] + turns) % 1
    changed = augment(image, AugmentationDraw(colour=(("hue", turns),)))
    np.testing.assert_allclose(as_pixels(changed), 255 * hsv2rgb(hsv), atol=1e-3)


channel = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1, width=32)


@settings(deadline=None)  # no timed tests
@given(rgb=st.tuples(channel, channel, channel), turns=st.floats(-0.5, 0.5))
def test_turns_the_hue_of_any_colour_as_the_standard_library_does(rgb, turns):
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    expected = colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value)
    image = torch.tensor(rgb, dtype=torch.double).reshape(3, 1, 1)
    changed = augment(image, AugmentationDraw(colour=(("hue", turns),)))
    np.testing.assert_allclose(changed.flatten().numpy(), expected, atol=1e-9)


def test_leaves_grey_alone_when_it_turns_the_hue():
    grey = torch.linspace(0, 1, 7).expand(3, 1, 7)
    assert torch.equal(augment(grey, AugmentationDraw(colour=(("hue", 0.3),))), grey)


def test_limits_each_operation_before_the_next():
    image = torch.full((3, 1, 1), 0.8)
    back_and_forth = (("brightness", 1.5), ("brightness", 0.5))
    assert augment(image, AugmentationDraw(colour=back_and_forth)).unique().item() == 0.5


def test_measures_contrast_from_the_mean_grey_at_its_turn():
    image = torch.zeros(3, 1, 2)
    image[1, 0, 0] = 1.0  # a green and a black pixel: mean grey 0.587 / 2, halved by brightness
    draw = AugmentationDraw(colour=(("brightness", 0.5), ("contrast", 0.0)))
    assert augment(image, draw).unique().item() == pytest.approx(0.587 / 4)


def test_gives_the_same_in_blocks_and_alone():
    _, image = random_image(300, 311)  # more than one block
    draw = AugmentationDraw(colour=(("saturation", 1.4), ("hue", 0.1), ("brightness", 0.9)))
    alone = augment(image[:, 250:251, 300:301], draw)
    torch.testing.assert_close(augment(image, draw)[:, 250:251, 300:301], alone)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
def test_orients_as_numpy_does(turns, horizontal, vertical):
    pixels, image = random_image()
    expected = np.fliplr(pixels) if horizontal else pixels
    expected = np.rot90(np.flipud(expected) if vertical else expected, turns)
    draw = AugmentationDraw((), horizontal, vertical, turns)
    np.testing.assert_array_equal(as_pixels(augment(image, draw)).round(), expected)


@pytest.mark.parametrize("index", range(8))
def test_keeps_two_magnifications_of_a_region_aligned(index):
    _, fine = random_image(16, 24)
    coarse = torch.nn.functional.avg_pool2d(fine, 4)
    orient_only = AugmentSettings(brightness=0, contrast=0, saturation=0, hue=0)
    draw = draw_augmentation(orient_only, 0, 0, index)
    pooled = torch.nn.functional.avg_pool2d(augment(fine, draw), 4)
    torch.testing.assert_close(pooled, augment(coarse, draw))


def test_leaves_its_input_as_it_was():
    _, image = random_image()
    before = image.clone()
    for index in range(8):
        augment(image, draw_augmentation(AugmentSettings(), 0, 0, index))
    assert torch.equal(image, before)


def test_draws_the_same_again_and_another_for_each_seed_epoch_and_index():
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]
    first = [draw_augmentation(AugmentSettings(), *place) for place in places]
    again = [draw_augmentation(AugmentSettings(), *place) for place in reversed(places)]
    assert first == again[::-1]
    assert len(set(first)) == len(places)


def test_draws_evenly_over_ranges_orders_and_orientations():
    draws = [draw_augmentation(AugmentSettings(), 0, 0, index) for index in range(4000)]
    for name, low, high in [
        ("brightness", 0.5, 1.5),
        ("contrast", 0.5, 1.5),
        ("saturation", 0.5, 1.5),
        ("hue", -0.2, 0.2),
    ]:
        values = np.array([dict(draw.colour)[name] for draw in draws])
        tenths = np.histogram(values, 10, (low, high))[0]
        assert tenths.sum() == 4000  # none outside
        assert abs(tenths - 400).max() < 100  # 5 standard deviations
    orders = Counter(tuple(name for name, _ in draw.colour) for draw in draws)
    assert len(orders) == 24
    assert max(orders.values()) < 250
    for name, expected in zip(GEOMETRY, (2000, 2000, 1000), strict=True):
        counts = Counter(getattr(draw, name) for draw in draws)
        assert max(abs(count - expected) for count in counts.values()) < 160


def test_switching_one_kind_off_leaves_the_others_as_drawn():
    every = draw_augmentation(AugmentSettings(), 0, 0, 5)
    without = draw_augmentation(AugmentSettings(hue=0, flips=False), 0, 0, 5)
    assert without.colour == tuple(pair for pair in every.colour if pair[0] != "hue")
    assert without == (without.colour, False, False, every.quarter_turns)


def test_refuses_a_range_that_would_make_factors_negative():
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        AugmentSettings(brightness=1.5)
