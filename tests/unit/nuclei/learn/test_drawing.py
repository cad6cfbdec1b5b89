import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Generator

from wsikd.errors import DivergedError
from wsikd.nuclei.learn.drawing import Drawing
from wsikd.nuclei.learn.settings import SegmentSettings

SMALL = {"channels": 2, "window": 8, "stride": 4, "windows": 12, "crop": 40}
PAIR = (torch.zeros(2, 3, 8, 8), torch.zeros(1, 3, 8, 8))


def drawing_of(**settings):
    return Drawing(SegmentSettings(**SMALL | settings))


def images_of(count=2, side=40):
    return torch.rand(count, 3, side, side, generator=Generator().manual_seed(1)) * 0.95 + 0.05


@pytest.mark.parametrize(("compat", "draws"), [(None, 5), ("release", 1)])
def test_windows_are_redrawn_four_times_and_in_the_published_code_never(compat, draws):
    drawing = drawing_of(channels=1, windows=40, compat=compat)
    images, confidence = images_of(1), torch.full((1, 1, 40, 40), 0.01)
    found = [
        len(drawing.draw(images, confidence, Generator().manual_seed(seed))) for seed in range(150)
    ]
    # two positives of 40 windows or more; in the published code one, its own partner
    once = binom.sf(1 if compat is None else 0, 40, 0.01)
    expected = 1 - (1 - once) ** draws
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.sqrt(expected / 150))


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_a_channel_without_positives_or_negatives_is_left_out(chance):
    drawing = drawing_of(windows=30)
    confidence = torch.full((1, 2, 40, 40), 0.5)
    confidence[:, 1] = chance
    ((positives, negatives),) = drawing.draw(images_of(1), confidence, Generator())
    assert len(positives) + len(negatives) == 30


def test_windows_of_both_kinds_are_all_that_were_drawn():
    drawing = drawing_of(compare="colours")
    drawn = drawing.draw(images_of(), torch.full((2, 2, 40, 40), 0.5), Generator())
    for positives, negatives in drawn:
        assert positives.shape[1:] == negatives.shape[1:] == (3, 8, 8)
        assert len(positives) + len(negatives) == 2 * 12


def test_windows_are_compared_by_their_haematoxylin_unless_by_colours():
    # eosin alone leaves the haematoxylin's light whole, which lifted and halved is 0.5
    eosin = torch.exp(-torch.tensor([0.07, 0.99, 0.11]))[:, None, None].expand(1, 3, 40, 40)
    confidence = torch.full((1, 2, 40, 40), 0.5)
    for compare, expected in (("haematoxylin", 0.5), ("colours", 0.5 * eosin[0, :, 0, 0])):
        drawn = drawing_of(compare=compare).draw(eosin * 0.95 + 0.05, confidence, Generator())
        seen = drawn[0][0].movedim(1, -1)
        lifted = expected if compare == "haematoxylin" else expected * 0.95 + 0.025
        assert torch.allclose(seen, torch.as_tensor(lifted).expand(seen.shape), atol=1e-4)


@pytest.mark.parametrize(("compat", "channels"), [(None, 1), ("release", 2)])
def test_one_channel_with_both_kinds_suffices_but_all_in_the_published_code(compat, channels):
    drawing = drawing_of(compat=compat)
    assert [drawing.suffices([PAIR] * count) for count in (0, 1, 2)] == [
        count >= channels for count in (0, 1, 2)
    ]


def test_twenty_vain_batches_in_a_row_are_too_many():
    drawing = drawing_of()
    assert not any(drawing.suffices([]) for _ in range(19))
    assert drawing.suffices([PAIR])  # the count begins anew
    assert not any(drawing.suffices([]) for _ in range(19))
    with pytest.raises(
        DivergedError, match="are not in 20 batches in a row; lower --learning-rate"
    ):
        drawing.suffices([])
