import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageOps
from pydantic import ValidationError
from scipy import stats
from skimage.color import hsv2rgb, rgb2hsv

import wsikd.data.augment.pairs
from wsikd.data.augment.pairs import (
    DistortSettings,
    Draws,
    distort,
    draw_distortions,
    release_distortions,
)
from wsikd.data.augment.regions import AugmentationDraw, augment

SETTINGS = DistortSettings()
NONE = {
    "flip_horizontal": False,
    "flip_vertical": False,
    "crop_height": 1.0,
    "crop_width": 1.0,
    "crop_top": 0.0,
    "crop_left": 0.0,
    "noise_seed": -1,
    "angle": 0.0,
    "threshold": math.inf,
    "brightness": 1.0,
    "brightness_shift": 0.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "hue": 0.0,
}


def drawn(count=1, **changes):
    """Return draws that make these changes alone, one value for all images or one each."""
    return Draws(
        *(np.array(np.broadcast_to(changes.get(name, NONE[name]), count)) for name in Draws._fields)
    )


def random_pixels(height=9, width=13, count=1):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def as_images(pixels):
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2) / 255


def as_pixels(images):
    return (images.permute(0, 2, 3, 1) * 255).numpy()


def middling_images(count=3, side=8):
    """Return images so far from black and white that no operation reaches either."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4


# ---- what is drawn


def test_draws_the_same_for_an_item_in_any_batch():
    alone = draw_distortions(SETTINGS, 1, 2, [5], branch=1)
    batch = draw_distortions(SETTINGS, 1, 2, [9, 5, 0], branch=1)
    for one, several in zip(alone, batch, strict=True):
        assert several[1] == one[0]


@pytest.mark.parametrize("place", [(1, 0, [0], 0), (0, 1, [0], 0), (0, 0, [1], 0), (0, 0, [0], 1)])
def test_draws_anew_for_each_seed_epoch_index_and_branch(place):
    first, other = draw_distortions(SETTINGS, 0, 0, [0], 0), draw_distortions(SETTINGS, *place)
    assert first.crop_top != other.crop_top
    assert first.hue != other.hue


def test_makes_each_change_as_often_as_table_s1_says():
    draws = draw_distortions(SETTINGS, 0, 0, range(4000), branch=0)
    made = [
        (draws.flip_horizontal, 0.5),
        (draws.flip_vertical, 0.5),
        (draws.crop_height < 1, 1),
        (draws.crop_width < 1, 1),
        (draws.noise_seed >= 0, 0.3),
        (draws.angle != 0, 0.4),
        (np.isfinite(draws.threshold), 0.3),
        (draws.hue != 0, 1),
    ]
    for flags, probability in made:
        assert stats.binomtest(int(flags.sum()), 4000, probability).pvalue > 1e-4


@pytest.mark.parametrize("settings", [SETTINGS, release_distortions()])
def test_draws_evenly_over_the_ranges(settings):
    draws = draw_distortions(settings, 0, 0, range(4000), branch=0)
    release = settings.noise_kind == "uniform"
    limits = {
        "crop_height": (0.75, 1),
        "crop_width": (0.75, 1),
        "crop_top": (0, 1),
        "crop_left": (0, 1),
        "angle": (0, math.pi),
        "threshold": (0.01 / 255, 0.6 / 255) if release else (0.01, 0.6),
        "contrast": (0.6, 1.4),
        "saturation": (0.6, 1.4),
        "hue": (-0.1, 0.1),
        ("brightness_shift" if release else "brightness"): (
            (-0.4 / 255, 0.4 / 255) if release else (0.6, 1.4)
        ),
    }
    for name, (low, high) in limits.items():
        values = getattr(draws, name)
        changed = values[values != NONE[name]]
        assert stats.kstest(changed, "uniform", (low, high - low)).pvalue > 1e-4
    seeds = draws.noise_seed[draws.noise_seed >= 0]
    assert len(set(seeds.tolist())) == len(seeds)


def test_draws_kinds_and_amounts_apart():
    draws = draw_distortions(SETTINGS, 0, 0, range(4000), branch=0)
    columns = np.stack([np.nan_to_num(values.astype(float), posinf=0) for values in draws])
    values = columns[columns.std(1) > 0]
    assert len(values) == len(columns) - 1  # brightness is not shifted
    correlation = np.corrcoef(values) - np.eye(len(values))
    assert abs(correlation).max() < 0.08  # 5 standard deviations


@pytest.mark.parametrize(
    "off", [{"flips": 0}, {"crop": 0}, {"noise": 0}, {"rotation": 0}, {"solarize": 0}, {"hue": 0}]
)
def test_switching_one_kind_off_leaves_the_others_as_drawn(off):
    names = {
        "flips": ["flip_horizontal", "flip_vertical"],
        "crop": ["crop_height", "crop_width"],
        "noise": ["noise_seed"],
        "rotation": ["angle"],
        "solarize": ["threshold"],
        "hue": ["hue"],
    }[next(iter(off))]
    every = draw_distortions(SETTINGS, 0, 0, range(20), branch=0)
    without = draw_distortions(DistortSettings(**off), 0, 0, range(20), branch=0)
    for name in Draws._fields:
        expected = NONE[name] if name in names else getattr(every, name)
        np.testing.assert_array_equal(getattr(without, name), expected)


def test_switching_colours_off_leaves_all_of_them():
    draws = draw_distortions(DistortSettings(colour=0), 0, 0, range(20), branch=0)
    for name in ("brightness", "brightness_shift", "contrast", "saturation", "hue"):
        assert (getattr(draws, name) == NONE[name]).all()


def test_refuses_a_probability_above_1():
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        DistortSettings(noise=1.5)


# ---- what is done


def test_leaves_images_without_changes_as_they_are():
    images = as_images(random_pixels(count=3))
    assert torch.equal(distort(images, drawn(3), SETTINGS), images)


@pytest.mark.parametrize("vertical", [False, True])
def test_mirrors_as_numpy_does(vertical):
    pixels = random_pixels(count=2)
    name, axis = ("flip_vertical", 1) if vertical else ("flip_horizontal", 2)
    distorted = distort(as_images(pixels), drawn(2, **{name: [False, True]}), SETTINGS)
    expected = np.stack([pixels[0], np.flip(pixels, axis)[1]])
    np.testing.assert_array_equal(as_pixels(distorted).round(), expected)


def test_crops_as_cutting_and_interpolating_do():
    images = as_images(random_pixels(16, 20, count=2))
    draws = drawn(2, crop_height=[0.75, 1], crop_width=[0.5, 1], crop_top=0.5, crop_left=0.999)
    part = F.interpolate(images[:1, :, 2:14, 10:], (16, 20), mode="bilinear")
    distorted = distort(images, draws, SETTINGS)
    torch.testing.assert_close(distorted, torch.cat([part, images[1:]]), atol=1e-5, rtol=0)


def test_crops_where_the_image_lies_after_the_flips():
    images = as_images(random_pixels(16, 20))
    crop = {"crop_height": 0.75, "crop_width": 0.8, "crop_top": 0.2, "crop_left": 0.9}
    flip = {"flip_horizontal": True, "flip_vertical": True}
    at_once = distort(images, drawn(**crop, **flip), SETTINGS)
    torch.testing.assert_close(at_once, distort(images.flip(2, 3), drawn(**crop), SETTINGS))


def test_rotates_counter_clockwise():
    images = as_images(random_pixels(12, 12, count=2))
    distorted = distort(images, drawn(2, angle=[0, math.pi / 2]), SETTINGS)
    assert torch.equal(distorted, torch.stack([images[0], images[1].rot90(1, (1, 2))]))


def test_solarizes_as_pillow_does():
    pixels = random_pixels(count=2)
    draws = drawn(2, threshold=[100 / 255 - 1e-6, math.inf])
    expected = [ImageOps.solarize(Image.fromarray(pixels[0]), 100), pixels[1]]
    distorted = as_pixels(distort(as_images(pixels), draws, SETTINGS)).round()
    np.testing.assert_array_equal(distorted, np.stack([np.asarray(image) for image in expected]))


def test_solarizes_as_the_release_by_inverting_all_that_is_not_black():
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    settings = release_distortions()
    draws = draw_distortions(settings, 0, 0, range(50), branch=0)
    for threshold in draws.threshold[np.isfinite(draws.threshold)]:
        inverted = as_pixels(distort(as_images(pixels), drawn(threshold=threshold), settings))
        expected = np.where(pixels == 0, 0, 255 - pixels.astype(int))
        np.testing.assert_array_equal(inverted.round(), expected)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.4])
@pytest.mark.parametrize(
    ("operation", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
def test_changes_colours_as_pillow_does(operation, enhancer, factor):
    pixels = random_pixels(count=2)
    expected = [enhancer(Image.fromarray(image)).enhance(factor) for image in pixels]
    distorted = distort(as_images(pixels), drawn(2, **{operation: factor}), SETTINGS)
    # Pillow cuts to whole grey levels, also of the grey image
    np.testing.assert_allclose(
        as_pixels(distorted), np.stack([np.asarray(image, float) for image in expected]), atol=1.6
    )


@pytest.mark.parametrize("turns", [-0.1, 1 / 6, 0.5])
def test_turns_the_hue_as_scikit_image_does(turns):
    pixels = random_pixels(count=2)
    hsv = rgb2hsv(pixels)
    hsv[1, ..., 0] = (hsv[1, ..., 0] + turns) % 1
    distorted = distort(as_images(pixels), drawn(2, hue=[0, turns]), SETTINGS)
    np.testing.assert_allclose(as_pixels(distorted), 255 * hsv2rgb(hsv), atol=1e-3)


def test_jitters_in_order_as_the_augmentation_of_one_image_does():
    images = middling_images()
    names = ("brightness", "contrast", "saturation", "hue")
    amounts = [(0.9, 1.1, 0.8, 0.1), (1.1, 0.7, 1.3, -0.05), (1, 1.2, 1, 0)]
    draws = drawn(3, **dict(zip(names, np.transpose(amounts), strict=True)))
    one_by_one = [
        augment(image, AugmentationDraw(tuple(zip(names, each, strict=True))))
        for image, each in zip(images, amounts, strict=True)
    ]
    torch.testing.assert_close(distort(images, draws, SETTINGS), torch.stack(one_by_one))


def test_limits_colours_once_after_the_last_change():
    images = torch.full((1, 3, 2, 2), 0.8)
    images[..., 0] = 0.2  # the mean is 0.5, brightened 0.75
    distorted = distort(images, drawn(brightness=1.5, contrast=0.5), SETTINGS)
    expected = [0.5 * (1.5 * 0.2) + 0.5 * 0.75, 0.5 * (1.5 * 0.8) + 0.5 * 0.75]
    torch.testing.assert_close(distorted[0, 0, 0], torch.tensor(expected))
    white = distort(images, drawn(brightness=1.4), SETTINGS)
    assert white[..., 1].unique().item() == 1


def test_shifts_brightness_by_a_value():
    images = middling_images(2)
    distorted = distort(images, drawn(2, brightness_shift=[0.1, -0.1]), SETTINGS)
    expected = images + torch.tensor([0.1, -0.1]).reshape(2, 1, 1, 1)
    torch.testing.assert_close(distorted, expected)


@pytest.mark.parametrize(
    ("settings", "law"),
    [
        (SETTINGS, stats.norm(0.5, 1 / math.sqrt(12))),
        (release_distortions(), stats.uniform()),
    ],
)
def test_replaces_exact_zeros_alone_by_noise(settings, law):
    images = middling_images(3, side=64)
    images[:, :, :32] = 0
    images[1, 2, 40] = 0  # one channel of a row
    images[2, 2, 41] = 1e-6
    noisy = distort(images, drawn(3, noise_seed=[-1, 4, 5]), settings)
    assert torch.equal(noisy[0], images[0])
    kept = images[1:] != 0
    assert torch.equal(noisy[1:][kept], images[1:][kept])
    noise = noisy[1:][~kept]
    assert len(noise.unique()) > 0.8 * len(noise)
    within = noise[(noise > 0) & (noise < 1)].double().numpy()  # what lies beyond is limited
    low, high = law.cdf([0, 1])
    shares = (law.cdf(within) - low) / (high - low)
    assert stats.kstest(shares, "uniform").pvalue > 1e-4
    assert len(within) / len(noise) == pytest.approx(high - low, abs=0.02)


def test_gives_the_same_noise_for_the_same_seed_alone():
    images = torch.zeros(3, 3, 8, 8)
    first, second, other = distort(images, drawn(3, noise_seed=[7, 7, 8]), SETTINGS)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_puts_noise_before_the_corners_that_a_rotation_leaves_black():
    images = torch.zeros(1, 3, 16, 16)
    rotated = distort(images, drawn(noise_seed=3, angle=math.pi / 4), SETTINGS)
    assert (rotated[..., 0, 0] == 0).all()
    assert (rotated[..., 8, 8] > 0).all()


def test_solarizes_before_it_jitters():
    images = torch.full((1, 3, 2, 2), 0.6)
    distorted = distort(images, drawn(threshold=0.5, brightness=0.5), SETTINGS)
    assert distorted.unique().item() == pytest.approx(0.2)


@pytest.mark.parametrize("settings", [SETTINGS, release_distortions()])
def test_distorts_each_image_of_a_batch_as_it_does_alone(settings, monkeypatch):
    images = as_images(random_pixels(16, 12, count=20))
    images[:, :, :3] = 0
    draws = draw_distortions(settings, 0, 1, range(20), branch=0)
    alone = [
        distort(images[i : i + 1], draws.of(slice(i, i + 1)), settings) for i in range(len(images))
    ]
    for block_px in (1, 5 * 16 * 12, 1 << 20):
        monkeypatch.setattr(wsikd.data.augment.pairs, "_BLOCK_PX", block_px)
        torch.testing.assert_close(distort(images, draws, settings), torch.cat(alone))


@pytest.mark.parametrize("settings", [SETTINGS, release_distortions()])
def test_stays_within_0_to_1_and_leaves_its_input_as_it_was(settings):
    images = as_images(random_pixels(16, 12, count=40)).contiguous(
        memory_format=torch.channels_last
    )
    images[:, :, :3] = 0
    before = images.clone()
    distorted = distort(images, draw_distortions(settings, 0, 0, range(40), 0), settings)
    assert torch.equal(images, before)
    assert distorted.shape == images.shape
    assert distorted.is_contiguous()
    assert distorted.min() >= 0
    assert distorted.max() <= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_distorts_on_a_gpu_as_on_the_processor():
    images = as_images(random_pixels(24, 32, count=40)) * 0.9 + 0.05  # no background, no noise
    draws = draw_distortions(SETTINGS, 0, 0, range(40), branch=0)
    there = distort(images.cuda(), draws, SETTINGS).cpu()
    differs = (there - distort(images, draws, SETTINGS)).abs().amax(1) > 1e-3
    assert differs.float().mean() < 0.01  # a place between two pixels may go to either
