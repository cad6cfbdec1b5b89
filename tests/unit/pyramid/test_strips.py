import numpy as np
import pytest
from PIL import Image

from wsikd.geometry import Mpp, Region, Size
from wsikd.pyramid.strips import iter_strips, read_overview
from wsikd.slides import ArrayReader
from wsikd.slides.reader import SlideReader


def noise(width, height):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


class WideGlass(SlideReader):
    """An empty slide too large for memory that notes what is read of it."""

    name = "glass"

    def __init__(self, size, tile):
        self.level_sizes, self.tile_size = (size,), tile
        self.path = self.format = self.version = "glass"
        self.stated_mpp = self.objective_power = None
        self.read_boxes = []

    def _read(self, region, level):
        self.read_boxes.append(region)
        return np.broadcast_to(np.uint8(255), (region.size.height, region.size.width, 3))

    def _close(self):
        pass


def test_strips_put_together_are_the_rectangle():
    pixels = noise(300, 700)
    with ArrayReader(pixels) as slide:
        strips = list(iter_strips(slide, Region(17, 130, Size(200, 501))))
    np.testing.assert_array_equal(np.concatenate(strips), pixels[130:631, 17:217])


def test_strips_end_on_tile_rows_and_hold_at_most_96_mib():
    slide = WideGlass(Size(60_000, 5_000), Size(240, 240))
    sizes = [strip.nbytes for strip in iter_strips(slide, Region(0, 100, Size(60_000, 4_800)))]
    ends = [box.y + box.size.height for box in slide.read_boxes]
    assert max(sizes) <= 96 * 2**20
    assert len(ends) > 2
    assert all(end % 240 == 0 for end in ends[:-1])
    assert ends[-1] == 4_900


def test_a_strip_is_one_row_of_tiles_where_that_is_more_than_96_mib():
    slide = WideGlass(Size(70_000, 1_024), Size(512, 512))
    boxes = [strip.shape for strip in iter_strips(slide, Region(0, 0, slide.size))]
    assert boxes == [(512, 70_000, 3)] * 2


def test_an_overview_is_the_mean_of_the_pixels_under_it():
    pixels = noise(320, 240)
    with ArrayReader(pixels, level_downsamples=(1,)) as slide:
        overview, scale = read_overview(slide, Mpp(0.5, 0.5), 4.0)
    means = pixels.reshape(30, 8, 40, 8, 3).mean(axis=(1, 3))
    assert scale == (8, 8)
    assert np.abs(overview - means).max() <= 1  # rounded twice


def test_an_overview_is_read_from_the_smallest_level_that_is_fine_enough():
    pixels = noise(640, 640)
    with ArrayReader(pixels, level_downsamples=(1, 4, 16)) as slide:
        overview, scale = read_overview(slide, Mpp(0.5, 0.5), 4.0)
    level = Image.fromarray(pixels).reduce(4)
    assert scale == (8, 8)
    np.testing.assert_array_equal(
        overview, np.asarray(level.resize((80, 80), Image.Resampling.BOX))
    )


def test_an_overview_of_a_coarse_slide_is_the_slide_itself():
    pixels = noise(50, 40)
    with ArrayReader(pixels) as slide:
        overview, scale = read_overview(slide, Mpp(16, 16), 8.0)
    np.testing.assert_array_equal(overview, pixels)
    assert scale == (1, 1)


def test_the_scale_of_an_overview_is_that_of_the_true_sizes_on_each_axis():
    with ArrayReader(noise(1001, 333), level_downsamples=(1,)) as slide:
        overview, scale = read_overview(slide, Mpp(0.5, 0.25), 3.0)
    assert overview.shape == (28, 167, 3)  # 333 x 0.25 / 3 = 27.75, 1001 x 0.5 / 3 = 166.8
    assert scale == pytest.approx((1001 / 167, 333 / 28))
