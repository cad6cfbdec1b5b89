import numpy as np
import pytest

from wsikd.geometry import Mpp, Region, Size
from wsikd.slides import ArrayReader


def test_levels_are_means_of_blocks():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    slide = ArrayReader(pixels, level_downsamples=(1, 2))
    blocks = pixels.reshape(4, 2, 6, 2, 3).astype(float).mean(axis=(1, 3))
    half = slide.read(Region(0, 0, Size(6, 4)), level=1)
    assert np.abs(half - blocks).max() <= 0.5


def test_transparent_pixels_are_white():
    slide = ArrayReader(np.zeros((4, 4, 4), np.uint8))
    assert (slide.read(Region(0, 0, Size(4, 4))) == 255).all()


@pytest.mark.parametrize("mpp", [0.5, Mpp(0.5, 0.5)])
def test_takes_the_resolution_as_a_number_or_by_axis(mpp):
    assert ArrayReader(np.zeros((4, 4, 3), np.uint8), mpp=mpp).stated_mpp == Mpp(0.5, 0.5)
