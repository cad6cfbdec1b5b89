import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from wsikd.errors import ConfigError
from wsikd.geometry import Size
from wsikd.pyramid import resample as module
from wsikd.pyramid.kernels import KERNELS, Kernel, kernel_weights
from wsikd.pyramid.resample import StripResampler, resample, resample_part

LANCZOS = Image.Resampling.LANCZOS
PAPER, HAEMATOXYLIN, EOSIN = (255, 255, 255), (60, 0, 130), (255, 0, 200)


def noise(random, width, height):
    return random.integers(0, 256, (height, width, 3), np.uint8)


def black_and_white(random, width, height):
    return 255 * random.integers(0, 2, (height, width, 3), np.uint8)


def saturated_stain(random, width, height):
    """Draw dots and stripes in colours that clip: every kernel that overshoots leaves 0 to 255."""
    colours = np.array([PAPER, HAEMATOXYLIN, EOSIN], np.uint8)
    rows, columns = np.mgrid[:height, :width]
    stripes = (rows * random.uniform(0, 1) + columns * random.uniform(0, 1)).astype(int) % 3
    return colours[np.where(random.random((height, width)) < 0.3, 1, stripes)]


pictures = st.sampled_from([noise, black_and_white, saturated_stain])
seeds = st.integers(0, 2**32 - 1)


def by_pillow_along_x_then_y(image, size):
    narrow = Image.fromarray(image).resize((size.width, len(image)), LANCZOS)
    return np.asarray(narrow.resize(size, LANCZOS)).astype(int)


def by_pillow_along_y_then_x(image, size):
    low = Image.fromarray(image).resize((image.shape[1], size.height), LANCZOS)
    return np.asarray(low.resize(size, LANCZOS)).astype(int)


@given(
    picture=pictures,
    seed=seeds,
    width=st.integers(1, 130),
    height=st.integers(1, 400),
    along_x=st.floats(0.5, 64),
    along_y=st.floats(0.5, 64),
)
def test_is_pillows_along_x_and_then_along_y_at_every_size_and_ratio(
    picture, seed, width, height, along_x, along_y
):
    image = picture(np.random.default_rng(seed), width, height)
    size = Size(max(1, round(width / along_x)), max(1, round(height / along_y)))
    difference = np.abs(resample(image, size) - by_pillow_along_x_then_y(image, size))
    # one level where roundings are apart along x or y; both at once are rare, and more never happen
    assert difference.max() <= 2
    assert (difference > 1).sum() <= 1 + difference.size // 1000


@given(picture=pictures, seed=seeds, width=st.integers(1, 300), ratio=st.floats(0.5, 64))
def test_each_pass_alone_is_within_one_grey_level_of_pillows(picture, seed, width, ratio):
    image = picture(np.random.default_rng(seed), width, 20)
    target = max(1, round(width / ratio))
    narrow = resample(image, Size(target, 20)).astype(int)
    assert np.abs(narrow - by_pillow_along_x_then_y(image, Size(target, 20))).max() <= 1
    turned = np.ascontiguousarray(image.swapaxes(0, 1))
    low = resample(turned, Size(20, target)).astype(int)
    assert np.abs(low - by_pillow_along_x_then_y(turned, Size(20, target))).max() <= 1


@pytest.mark.parametrize("picture", [noise, black_and_white, saturated_stain])
@pytest.mark.parametrize(("width", "height"), [(150, 1201), (400, 400), (1000, 151)])
@pytest.mark.parametrize("ratio", [1.978, 3.956, 7.911, 15.82])
def test_at_the_usual_ratios_less_than_one_value_in_ten_thousand_is_two_levels_off(
    picture, width, height, ratio
):
    image = picture(np.random.default_rng(0), width, height)
    size = Size(round(width / ratio), round(height / ratio))
    difference = np.abs(resample(image, size) - by_pillow_along_x_then_y(image, size))
    assert difference.max() <= 2
    assert (difference > 1).mean() < 1e-4


def test_tissue_looks_the_same_in_a_tall_box_and_in_a_wide_one():
    wide = saturated_stain(np.random.default_rng(0), 400, 400)
    tall = np.ascontiguousarray(wide[:, :100])  # Pillow 13 takes y first in this one alone
    apart = by_pillow_along_x_then_y(tall, Size(25, 100)) - by_pillow_along_y_then_x(
        tall, Size(25, 100)
    )
    assert np.abs(apart).max() > 8  # so that the next line can tell the orders apart
    in_wide, in_tall = resample(wide, Size(100, 100)), resample(tall, Size(25, 100))
    # the kernel reaches three pixels beyond the box
    np.testing.assert_array_equal(in_tall[:, :22], in_wide[:, :22])


def test_box_by_a_whole_factor_is_the_mean_of_blocks_rounded_half_up():
    image = np.array([[[1, 0, 10], [2, 0, 20]], [[3, 0, 30], [4, 2, 40]]], np.uint8)
    # rows first: (1+2)/2 -> 2, (3+4)/2 -> 4, then 3; (0+0)/2 -> 0, (0+2)/2 -> 1, then 0.5 -> 1
    assert resample(image, Size(1, 1), "box").tolist() == [[[3, 1, 25]]]


def test_lanczos_weights_are_those_of_the_formula_worked_out_by_hand():
    # 12 to 4 pixels: scale 3, centre of the second target pixel at 4.5, reach 9 source pixels
    first, weights = kernel_weights(12, 4, "lanczos")
    x = (np.arange(12) - 4 + 1e-9) / 3  # a hair off the centre, where the formula is 0 / 0
    written_out = 3 * np.sin(np.pi * x) * np.sin(np.pi * x / 3) / (np.pi * x) ** 2
    assert first[1] == 0
    np.testing.assert_allclose(weights[1][:12], written_out / written_out.sum(), atol=1e-8)


def test_rows_are_given_out_as_soon_as_blocks_of_them_are_complete():
    resampler = StripResampler(Size(8, 400), Size(4, 100), "box")
    heights = [len(resampler.push(np.zeros((100, 8, 3), np.uint8))) for _ in range(4)]
    # 25, 50, 75, 100 rows are complete; given out in whole blocks of 8 until the end
    assert heights == [24, 48 - 24, 72 - 48, 100 - 72]


def test_only_rows_under_the_kernel_are_held():
    resampler = StripResampler(Size(6, 4000), Size(3, 500), "lanczos")
    held = []
    for _ in range(100):
        resampler.push(np.zeros((40, 6, 3), np.uint8))
        held.append(len(resampler._held))
    # reach 3 x 8 rows either side, a block of 8 target rows not yet complete, the strip itself
    assert max(held) <= 2 * 24 + 8 * 8 + 40


def test_without_torchs_lanczos_pillow_gives_the_same_within_one_grey_level(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    by_torch = resample(image, Size(23, 11))
    monkeypatch.setattr(module, "_TORCH_HAS_LANCZOS", False)
    by_pillow = resample(image, Size(23, 11))
    assert np.abs(by_torch.astype(int) - by_pillow).max() <= 1
    assert by_pillow.flags.c_contiguous


def test_the_callers_torch_keeps_its_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        resample(np.zeros((8, 8, 3), np.uint8), Size(4, 4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_enlarges_too():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((20, 31), Image.Resampling.BICUBIC))
    enlarged = resample(image, Size(20, 31), "bicubic")
    assert np.abs(enlarged.astype(int) - expected).max() <= 1


def test_an_unknown_kernel_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError) as refusal:
        resample(np.zeros((4, 4, 3), np.uint8), Size(2, 2), "sinc")
    assert str(refusal.value) == (
        "kernel 'sinc' is unknown; choose one of box, bilinear, bicubic, lanczos"
    )


class TestKernelThatPillowLacks:
    @pytest.fixture(autouse=True)
    def gaussian(self, monkeypatch):
        """Add a Gaussian of half an output pixel, cut off at two."""

        def weigh(x):
            return np.where(np.abs(x) < 2, np.exp(-2 * x**2), 0.0)

        monkeypatch.setitem(KERNELS, "gaussian", Kernel(2.0, weigh))

    @pytest.fixture
    def image(self):
        return np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)

    def by_scipy(self, image):
        """Smooth by 1.5 pixels and keep each third row and column: a reduction to a third."""
        for axis in (1, 0):
            smooth = ndimage.gaussian_filter1d(image.astype(float), 1.5, axis=axis, radius=5)
            image = np.floor(smooth.take(range(1, image.shape[axis], 3), axis) + 0.5)
        return image

    def test_gives_what_scipy_does_away_from_the_border(self, image):
        small = resample(image, Size(30, 20), "gaussian")
        inside = (slice(2, -2), slice(2, -2))
        np.testing.assert_array_equal(small[inside], self.by_scipy(image)[inside])

    def test_gives_the_same_of_a_part_that_is_looked_for_further_away(self, image):
        part = resample_part(image, (15, 9, 75, 51), Size(20, 14), "gaussian")
        np.testing.assert_array_equal(part, self.by_scipy(image)[3:17, 5:25])

    def test_has_the_weights_of_the_formula(self):
        first, weights = kernel_weights(9, 3, "gaussian")
        by_hand = np.exp(-2 * (np.arange(-4, 5) / 3) ** 2)
        assert first.tolist() == [0, 0, 2]
        np.testing.assert_allclose(weights[1][:9], by_hand / by_hand.sum())

    def test_gives_the_same_bits_in_strips(self, image):
        whole = resample(image, Size(41, 23), "gaussian")
        for height in (1, 7, 59):
            resampler = StripResampler(Size(90, 60), Size(41, 23), "gaussian")
            strips = np.split(image, range(height, 60, height))
            in_strips = np.concatenate([resampler.push(strip) for strip in strips])
            np.testing.assert_array_equal(in_strips, whole)

    def test_keeps_constant_images_constant_and_no_rows_none(self):
        assert (resample(np.full((12, 31, 3), 255, np.uint8), Size(7, 5), "gaussian") == 255).all()
        resampler = StripResampler(Size(9, 9), Size(3, 3), "gaussian")
        assert resampler.push(np.empty((0, 9, 3), np.uint8)).shape == (0, 3, 3)
