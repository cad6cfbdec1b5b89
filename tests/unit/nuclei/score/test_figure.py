import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from wsikd.geometry import Mpp
from wsikd.nuclei.score.evaluate import Examined
from wsikd.nuclei.score.figure import _outline, _words, draw_nuclei


def examined(height, width, mpp=None, name="an image"):
    random = np.random.default_rng(0)
    truth = np.zeros((height, width), np.int32)
    truth[5:20, 5:20], truth[5:20, 20:30] = 1, 2
    return Examined(
        name,
        mpp,
        random.integers(0, 256, (height, width, 3), np.uint8),
        random.random((height, width), np.float32),
        truth > 0,
        truth,
    )


def test_a_picture_is_the_same_for_the_same_images(tmp_path):
    rows = [examined(40, 60, Mpp(0.25, 0.25)), examined(60, 40, name="x" * 99)]
    for name in ("first.png", "again.png"):
        draw_nuclei(rows, tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_a_large_image_is_cut_to_its_middle_and_stands_alone(tmp_path):
    draw_nuclei([examined(400, 700)], tmp_path / "large.png")
    with Image.open(tmp_path / "large.png") as image:
        width, height = image.size
    assert width > 3 * height  # four squares in a row
    words = _words([examined(400, 700)])
    assert "of which the middle 320 px are shown where it is larger" in words
    assert words.endswith("; px: µm per pixel are unknown.")
    assert "middle" not in _words([examined(40, 60, Mpp(0.5, 0.5))])


@pytest.mark.parametrize(
    ("numbers", "length"),
    [
        ([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], 6),
        ([[0, 0, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0]], 7),  # and the side between the two
        ([[0, 0], [0, 0]], 0),
    ],
)
def test_outlines_follow_the_sides_of_pixels_and_part_nuclei_that_touch(numbers, length):
    axes = Figure().subplots()
    _outline(axes, np.array(numbers, np.int32))
    below, above = axes.collections
    assert len(below.get_segments()) == len(above.get_segments()) == length
    for (x0, y0), (x1, y1) in above.get_segments():
        assert abs(x1 - x0) + abs(y1 - y0) == 1.0
