import hashlib

import numpy as np
import pytest

from tests.builders import write_plain_slide
from wsikd.hashing import pixels_differ, pixels_part
from wsikd.store import RegionStore


def picture(seed, height=8 * 600, width=64):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def written(tmp_path, slide_id, pixels):
    height, width = pixels.shape[:2]
    write_plain_slide(tmp_path, slide_id, {"one": (width, height)}, pixels=pixels)
    return RegionStore(tmp_path).read_digest(slide_id)


def test_a_slide_is_told_by_its_pixels_at_the_coarsest_magnification(tmp_path):
    pixels = picture(1)  # higher there than what is read at once
    text = b"1.25x 64x4800\n" + pixels[::8, ::8].tobytes()
    digest = written(tmp_path, "a", pixels)
    assert pixels_part(digest) == hashlib.sha256(text).hexdigest()


def test_slides_made_alike_differ_by_their_pixels_alone(tmp_path):
    first, same, other = (
        written(tmp_path, name, picture(seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == same
    assert pixels_differ(first, other)


@pytest.mark.parametrize("level", [0, 255])
def test_a_slide_of_one_colour_has_no_digest(tmp_path, level):
    assert written(tmp_path, "a", np.full((64, 64, 3), level, np.uint8)) == ""
