import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from shapely import box

from tests.builders import picture_field
from wsikd.geometry import Size
from wsikd.nuclei.learn.crops import deal_crops, draw_crop

STAIN, GLASS = (150, 80, 170), (240, 238, 242)


def unread(width, height):
    return picture_field(Path("unread.png"), Size(width, height))


class TestDealing:
    @given(
        sizes=st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), min_size=1),
        count=st.integers(1, 90),
        seed=st.integers(0, 2**32),
    )
    def test_gives_each_field_its_share_of_the_area_to_less_than_one_crop(self, sizes, count, seed):
        dealt = deal_crops([unread(*size) for size in sizes], count, np.random.default_rng(seed))
        areas = [width * height for width, height in sizes]
        for which, area in enumerate(areas):
            got = (dealt == which).sum()
            share = count * area / sum(areas)
            assert math.floor(share - 1e-6) <= got <= math.ceil(share + 1e-6)
        assert len(dealt) == count

    def test_is_fair_to_small_fields_in_the_long_run(self):
        fields = [unread(10, 10), unread(30, 30), unread(10, 10)]
        random = np.random.default_rng(0)
        shares = np.mean([deal_crops(fields, 1, random) == np.arange(3) for _ in range(4000)], 0)
        assert shares == pytest.approx([1 / 11, 9 / 11, 1 / 11], abs=0.02)  # 4 standard errors

    def test_fields_come_in_random_order(self):
        fields = [unread(10, 10)] * 30
        orders = [deal_crops(fields, 30, np.random.default_rng(seed)).tolist() for seed in (0, 1)]
        assert sorted(orders[0]) == sorted(orders[1]) == list(range(30))
        assert orders[0] != orders[1] != list(range(30))


class TestDrawing:
    @pytest.fixture
    def noise(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise.png")
        return picture_field(tmp_path / "noise.png", Size(40, 30)), pixels

    @pytest.fixture
    def half_glass(self, tmp_path):
        """Return a slide whose left half is glass."""
        pixels = np.full((40, 200, 3), STAIN, np.uint8)
        pixels[:, :100] = GLASS
        Image.fromarray(pixels).save(tmp_path / "half.png")
        return replace(
            picture_field(tmp_path / "half.png", Size(200, 40)), outline=box(0, 0, 200, 40)
        )

    def test_a_crop_is_what_lies_at_its_corner(self, noise):
        field, pixels = noise
        crop, (left, top) = draw_crop(field, Size(9, 7), np.random.default_rng(3))
        assert (crop == pixels[top : top + 7, left : left + 9]).all()

    def test_corners_are_anywhere_a_crop_fits(self, noise):
        field, random = noise[0], np.random.default_rng(0)
        corners = {draw_crop(field, Size(37, 28), random)[1] for _ in range(200)}
        assert corners == {(left, top) for left in range(4) for top in range(3)}

    def test_a_field_of_the_crops_size_is_the_crop(self, noise):
        field, pixels = noise
        crop, corner = draw_crop(field, Size(40, 30), np.random.default_rng(0))
        assert corner == (0, 0)
        assert (crop == pixels).all()

    def test_a_crop_of_a_slide_holds_no_more_glass_than_allowed(self, half_glass):
        random = np.random.default_rng(0)
        lefts = [draw_crop(half_glass, Size(20, 20), random)[1][0] for _ in range(60)]
        assert min(lefts) >= 100 - 0.3 * 20
        assert min(lefts) < 100

    def test_how_much_glass_is_allowed_can_be_said(self, half_glass):
        random = np.random.default_rng(0)
        lefts = [draw_crop(half_glass, Size(20, 20), random, glass=0)[1][0] for _ in range(40)]
        assert min(lefts) >= 100
        anywhere = [draw_crop(half_glass, Size(20, 20), random, glass=1)[1][0] for _ in range(40)]
        assert min(anywhere) < 80

    def test_images_are_not_judged_by_their_glass(self, half_glass):
        image, random = replace(half_glass, outline=None), np.random.default_rng(0)
        assert min(draw_crop(image, Size(20, 20), random)[1][0] for _ in range(40)) < 80

    def test_a_slide_of_nothing_but_glass_is_cropped_all_the_same(self, tmp_path):
        Image.new("RGB", (40, 30), GLASS).save(tmp_path / "glass.png")
        field = replace(
            picture_field(tmp_path / "glass.png", Size(40, 30)), outline=box(0, 0, 40, 30)
        )
        crop, _ = draw_crop(field, Size(9, 7), np.random.default_rng(0))
        assert (crop == GLASS).all()
