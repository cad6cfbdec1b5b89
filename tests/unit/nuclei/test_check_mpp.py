import numpy as np
import pandas as pd
import pytest
import torch
from shapely import box
from skimage.draw import disk

from wsikd.errors import ConfigError
from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.nuclei import check_mpp as module
from wsikd.nuclei.check_mpp import check_mpp, doubt
from wsikd.nuclei.network import ConfidenceNetwork
from wsikd.nuclei.trained import Segmenter
from wsikd.slides import ArrayReader

SIDE = 700


@pytest.fixture(scope="module")
def slide():
    """Draw nuclei 5 to 8 µm wide at 0.25 µm per pixel, some touching, on rose beside glass."""
    drawn = np.random.default_rng(0)
    pixels = np.full((SIDE, SIDE + 60, 3), 250, np.uint8)
    pixels[:, :SIDE] = (230, 190, 215)
    for row, column, width in drawn.uniform((0, 0, 20), (SIDE, SIDE, 32), (130, 3)):
        place = disk((row, column), width / 2, shape=(SIDE, SIDE))
        pixels[place] = (80, 50, 130)
    with ArrayReader(pixels) as reader:
        yield reader


def darkness(mpp=0.25):
    """Make a segmenter that is the more confident the darker a pixel is, whatever is about it."""
    network = ConfidenceNetwork(1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.stem[0].weight[0, :, 1, 1] = 1 / 3
        network.stem[1].weight.fill_(1)
        network.head.weight[0, 0] = -10
        network.head.bias.fill_(5)
    learnt = pd.DataFrame({"slide_id": [], "patient_id": []})
    return Segmenter("dark", network, 0, False, 0.5, mpp, "none", learnt)


def tissue_of(width=SIDE, height=SIDE):
    place = Region(0, 0, Size(width, height))
    return [TissueRegion(0, place, box(0, 0, width, height))]


@pytest.mark.parametrize(
    ("stated", "warning"),
    [
        (0.25, None),
        (0.5, "stated mpp 0.5 is probably about 2 times too large: the median nucleus would be 1"),
        (0.125, "stated mpp 0.125 is probably about 2 times too small: the median nucleus would b"),
    ],
)
def test_doubts_what_makes_nuclei_half_or_twice_as_wide(slide, stated, warning):
    found = check_mpp(slide, Mpp(stated, stated), tissue_of(), darkness())
    assert found.diameter_um == pytest.approx(6.5 * stated / 0.25, rel=0.15)
    assert found.diameter_coarse_um == pytest.approx(6.5 * stated / 0.25, rel=0.25)
    assert (found.warning is None) == (warning is None)
    assert warning is None or found.warning.startswith(warning)


def test_says_nothing_of_a_slide_without_nuclei():
    pixels = np.full((200, 300, 3), 250, np.uint8)
    pixels[:, :200] = (230, 190, 215)
    with ArrayReader(pixels) as reader:
        found = check_mpp(reader, Mpp(0.25, 0.25), tissue_of(200, 200), darkness())
    assert found.diameter_um is None
    assert found.warning is None


def test_takes_the_tiles_with_nuclei(slide):
    pale = np.full((64, 64, 3), (230, 190, 215), np.uint8)
    half_glass = slide.read(Region(SIDE - 60, 0, Size(120, 120)))
    rich = slide.read(Region(100, 100, Size(400, 400)))
    first, second, last = module._richest([half_glass, pale, rich])
    assert first is rich
    assert second is pale
    assert last is half_glass


def test_needs_a_model_of_a_known_resolution(slide):
    with pytest.raises(ConfigError, match="--model dark must have learnt at a known µm per pixel"):
        check_mpp(slide, Mpp(0.25, 0.25), tissue_of(), darkness(mpp=None))


def test_names_the_likely_resolution():
    assert doubt(0.25, 3.0, 4.0).endswith("; check the scanner or give --mpp 0.5")
    assert doubt(0.46, 7.0, 9.5).endswith("; check the scanner or give --mpp 0.23")
    assert doubt(0.25, 4.5, 8.0) is None


def test_does_not_judge_a_slide_far_coarser_than_the_model_learnt_at(slide):
    found = check_mpp(slide, Mpp(1.0, 1.0), tissue_of(), darkness())
    assert (found.warning, found.nuclei) == (None, 0)
    assert found.unjudged == "1 µm per pixel are too coarse for a model that learnt at 0.25"
