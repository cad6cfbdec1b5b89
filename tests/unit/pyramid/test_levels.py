import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from wsikd.errors import SlideError
from wsikd.geometry import Mpp, PyramidLevel, Region, Size
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, left_out, plan_levels
from wsikd.slides import ArrayReader

SETTINGS = PyramidSettings()
LANCZOS = Image.Resampling.LANCZOS


def noise(width, height):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def build(pixels, mpp, settings=SETTINGS, box=None):
    with ArrayReader(pixels) as slide:
        box = box or Region(0, 0, slide.size)
        levels = plan_levels(box.size, mpp, settings)
        images = [[] for _ in levels]
        for index, rows in build_pyramid(slide, box, levels, settings.kernel):
            images[index].append(rows)
    return levels, [np.concatenate(rows) for rows in images]


def test_every_magnification_is_pillows_lanczos_of_level_0():
    pixels = noise(1003, 801)
    levels, images = build(pixels, Mpp(0.2528, 0.2528))
    assert [level.magnification for level in levels] == [10, 5, 2.5, 1.25, 0.625]
    for level, image in zip(levels, images, strict=True):
        expected = np.asarray(Image.fromarray(pixels).resize(level.size, LANCZOS))
        assert np.abs(image.astype(int) - expected).max() <= 1


def test_no_magnification_is_made_from_another():
    pixels = np.where(noise(64, 64) < 128, 0, 255).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    _, images = build(pixels, Mpp(0.25, 0.25))
    direct = np.asarray(Image.fromarray(pixels).resize((32, 32), LANCZOS)).astype(int)
    chained = Image.fromarray(pixels)
    for side in (256, 128, 64, 32):
        chained = chained.resize((side, side), LANCZOS)
    assert np.abs(images[3] - direct).max() <= 1
    assert np.abs(chained - direct).max() > 8  # so the line above can tell them apart


def test_a_region_is_cut_from_its_place_on_the_slide():
    pixels = noise(600, 900)
    box = Region(101, 267, Size(255, 513))
    _, images = build(pixels, Mpp(1, 1), box=box)
    np.testing.assert_array_equal(images[0], pixels[267:780, 101:356])


def test_the_kernel_asked_for_is_used():
    pixels = noise(256, 256)
    _, (image,) = build(pixels, Mpp(1, 1), PyramidSettings(magnifications=(2.5,), kernel="box"))
    means = pixels.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(image - means).max() <= 1


@pytest.mark.parametrize(
    ("mpp", "magnification", "served"),
    [(1.011, 10, True), (2.104, 5, True), (1.10, 10, True), (1.101, 10, False), (4.0, 5, False)],
)
def test_a_slide_up_to_ten_percent_coarser_serves_a_magnification_at_its_own(
    mpp, magnification, served
):
    settings = PyramidSettings(magnifications=(magnification, 0.625))
    levels = plan_levels(Size(3300, 2922), Mpp(mpp, mpp), settings)
    own = [level for level in levels if level.magnification == magnification]
    expected = PyramidLevel(magnification, Size(3300, 2922), Mpp(mpp, mpp))
    assert own == ([expected] if served else [])
    assert left_out(levels, settings) == ([] if served else [magnification])


def test_a_slide_too_coarse_for_all_magnifications_is_refused_with_those_asked_for():
    with pytest.raises(SlideError) as refusal:
        plan_levels(Size(300, 250), Mpp(2.5, 28.97), PyramidSettings(magnifications=(10, 0.625)))
    assert str(refusal.value) == (
        "the slide's 28.97 µm per pixel is too coarse for every magnification asked for "
        "(10x, 0.625x); ask for lower ones with --pyramid.magnifications"
    )


def test_sizes_round_half_up_per_axis_and_the_true_mpp_is_recorded():
    # 1001 x 0.25 / 1 = 250.25, 30 x 0.5 / 1 = 15; at 2.5x 62.5625 and 3.75
    first, second = plan_levels(
        Size(1001, 30), Mpp(0.25, 0.5), PyramidSettings(magnifications=(2.5, 10))
    )
    assert (first.magnification, first.size) == (10, Size(250, 15))
    assert first.mpp == pytest.approx((1001 * 0.25 / 250, 1.0))
    assert (second.magnification, second.size) == (2.5, Size(63, 4))
    assert second.mpp == pytest.approx((1001 * 0.25 / 63, 30 * 0.5 / 4))


def test_a_region_has_at_least_one_pixel():
    levels = plan_levels(Size(3, 900), Mpp(0.25, 0.25), SETTINGS)
    assert levels[-1].size == Size(1, 14)


@pytest.mark.parametrize("mpp", [Mpp(0.25, 0.25), Mpp(0.2528, 0.2528), Mpp(0.25, 0.4)])
def test_a_dot_is_at_the_same_place_on_the_slide_at_every_magnification(mpp):
    pixels = np.full((1500, 2100, 3), 200, np.uint8)  # kernels overshoot: keep off 0 and 255
    pixels[600:664, 900:964] = 60  # its middle at (932, 632)
    levels, images = build(pixels, mpp)
    for level, image in zip(levels, images, strict=True):
        dark = 200.0 - image[:, :, 0]
        # middle of mass; a pixel's middle is half a pixel from its edge
        x = (dark.sum(axis=0) @ (np.arange(image.shape[1]) + 0.5)) / dark.sum() * level.mpp.x
        y = (dark.sum(axis=1) @ (np.arange(image.shape[0]) + 0.5)) / dark.sum() * level.mpp.y
        assert x == pytest.approx(932 * mpp.x, abs=0.8)  # 1/20 of the coarsest pixel
        assert y == pytest.approx(632 * mpp.y, abs=0.8)


@pytest.mark.parametrize("values", [(), (0,), (-5.0,), (401,)])
def test_magnifications_must_be_numbers_in_range(values):
    with pytest.raises(ValidationError, match="one or more numbers above 0 and at most 400"):
        PyramidSettings(magnifications=values)


def test_magnifications_are_taken_once_each_and_largest_first():
    assert PyramidSettings(magnifications=(1.25, 10, 1.25)).magnifications == (10, 1.25)
