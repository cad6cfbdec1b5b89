import numpy as np
import pytest
from skimage.color import rgb2hed
from skimage.data import immunohistochemistry
from skimage.filters import threshold_otsu

from wsikd.nuclei.score.controls import (
    best_global_threshold,
    darker_than,
    otsu_haematoxylin,
)
from wsikd.nuclei.score.metrics import dice


def noisy(seed):
    """An image whose nuclei are darker, but not always."""
    random = np.random.default_rng(seed)
    mask = random.random((20, 30)) < 0.3
    means = np.where(mask, 90, 160)[..., None]
    return np.clip(random.normal(means, 40, (20, 30, 3)), 0, 255).astype(np.uint8), mask


def test_no_other_threshold_has_a_better_mean_dice_over_the_images():
    images = [noisy(seed) for seed in range(4)]
    threshold = best_global_threshold(images)

    def mean_dice(grey):
        return np.mean([dice(pixels.mean(2) <= grey + 1e-9, mask) for pixels, mask in images])

    every = [mean_dice(total / 3) for total in range(3 * 255 + 1)]
    assert mean_dice(threshold) == pytest.approx(max(every))
    assert threshold == np.argmax(every) / 3


def test_the_threshold_counts_images_alike_however_large_they_are():
    small = np.full((1, 2, 3), 100, np.uint8), np.array([[True, True]])
    pixels = np.full((50, 50, 3), 200, np.uint8)
    pixels[0] = 10
    large = pixels, pixels[..., 0] == 10
    # 10 parts the large one wholly and nothing of the small one; 100 both
    assert best_global_threshold([small, large]) == 100.0


def test_a_pixel_at_the_threshold_is_a_nucleus():
    pixels = np.array([[[100, 100, 101], [100, 101, 101]]], np.uint8)
    assert darker_than(pixels, 301 / 3).tolist() == [[True, False]]


def test_images_without_nuclei_want_nothing_to_be_marked():
    pixels = np.full((4, 4, 3), 50, np.uint8)
    threshold = best_global_threshold([(pixels, np.zeros((4, 4), bool))])
    assert not darker_than(pixels, threshold).any()


def test_otsu_parts_the_haematoxylin_of_skimage():
    pixels = immunohistochemistry()[:128, :128]
    found = otsu_haematoxylin(pixels)
    haematoxylin = rgb2hed(pixels)[..., 0]  # in double precision
    differs = found != (haematoxylin > threshold_otsu(haematoxylin))
    assert differs.mean() < 0.01
    assert 0.05 < found.mean() < 0.6


def test_otsu_finds_nothing_in_an_image_of_one_colour():
    assert not otsu_haematoxylin(np.full((8, 8, 3), 180, np.uint8)).any()
