import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Generator

from wsikd.nuclei.learn.windows import (
    Windows,
    cut_patches,
    draw_windows,
    pixel_entropy,
    window_means,
)


def seeded(seed=0):
    return Generator().manual_seed(seed)


def assert_same(drawn, expected):
    for part, other in zip(drawn, expected, strict=True):
        torch.testing.assert_close(part, other, rtol=0, atol=0)


def means_in_loops(values, side, stride, *, last=True):
    """Mean of every window of a picture; a strict inequality drops those that just fit."""
    height, width = values.shape
    tops, lefts = (
        [at for at in range(0, n, stride) if at + side < n or (last and at + side == n)]
        for n in (height, width)
    )
    return [[values[y : y + side, x : x + side].mean() for x in lefts] for y in tops]


@pytest.mark.parametrize(
    ("chance", "bits"),
    [(0.0, 0.0), (1.0, 0.0), (0.5, 1.0), (0.25, 2 - 0.75 * math.log2(3)), (0.11, 0.4999159)],
)
def test_entropy_is_that_of_a_coin_in_bits(chance, bits):
    assert pixel_entropy(torch.tensor(chance)).item() == pytest.approx(bits, abs=1e-6)


def test_entropy_is_that_of_scipy():
    chances = torch.rand(50, dtype=torch.double)
    expected = stats.entropy([chances, 1 - chances], base=2)
    np.testing.assert_allclose(pixel_entropy(chances), expected, rtol=1e-10)


@pytest.mark.parametrize("shape", [(10, 10), (31, 44), (25, 10)])
@pytest.mark.parametrize(("side", "stride"), [(10, 4), (10, 5), (3, 7), (10, 10)])
def test_window_means_are_those_of_loops_over_windows(shape, side, stride):
    values = torch.rand(2, 3, *shape, dtype=torch.double)
    means = window_means(values, side, stride)
    expected = [[means_in_loops(plane.numpy(), side, stride) for plane in one] for one in values]
    np.testing.assert_allclose(means, expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(30, 31), (31, 30), (29, 50), (11, 12)])
@pytest.mark.parametrize(("side", "stride"), [(10, 4), (10, 5)])
def test_windows_that_just_fit_are_left_out_as_released(shape, side, stride):
    values = torch.rand(1, 1, *shape, dtype=torch.double)
    means = window_means(values, side, stride, as_released=True)
    expected = means_in_loops(values[0, 0].numpy(), side, stride, last=False)
    np.testing.assert_allclose(means[0, 0], expected, rtol=1e-12)


@pytest.mark.parametrize(("crop", "whole", "released"), [(300, 13, 13), (250, 11, 10)])
def test_a_crop_has_the_published_windows(crop, whole, released):
    values = torch.zeros(1, 1, crop, crop)
    assert window_means(values, 50, 20).shape == (1, 1, whole, whole)
    assert window_means(values, 50, 20, as_released=True).shape == (1, 1, released, released)


def test_a_crop_of_one_window_keeps_it_as_released():
    values = torch.rand(1, 1, 8, 8)
    means = window_means(values, 8, 3, as_released=True)
    assert means.item() == pytest.approx(values.mean().item())


def test_windows_lie_on_the_grid_and_inside_their_image():
    windows = draw_windows(torch.rand(3, 2, 33, 47), seeded(), side=10, stride=4, count=50)
    assert all(part.shape == (2, 150) for part in windows)
    assert set(windows.top.unique().tolist()) == set(range(0, 33 - 10 + 1, 4))
    assert set(windows.left.unique().tolist()) == set(range(0, 47 - 10 + 1, 4))


def test_every_image_and_channel_gets_as_many_windows():
    windows = draw_windows(torch.rand(3, 2, 20, 20), seeded(), side=10, stride=4, count=5)
    assert windows.image.tolist() == [[0] * 5 + [1] * 5 + [2] * 5] * 2


@pytest.mark.parametrize("as_released", [False, True])
def test_windows_are_drawn_by_one_less_their_mean_entropy_and_at_least_a_thousandth(as_released):
    """Four windows beside each other, by a chi-square test against the exact chances."""
    # as released, a fifth window just fits and is left out
    chances = torch.tensor([0.5, 0.02, 0.8, 1.0, 1.0][: 5 if as_released else 4])
    confidence = chances.repeat_interleave(4).expand(1, 1, 4, -1)
    windows = draw_windows(
        confidence, seeded(), side=4, stride=4, count=40_000, as_released=as_released
    )
    drawn = np.bincount(windows.left[0] // 4, minlength=4)
    weights = [max(1 - stats.entropy([p, 1 - p], base=2), 0.001) for p in (0.5, 0.02, 0.8, 1.0)]
    expected = np.array(weights) / sum(weights) * 40_000
    assert expected[0] == pytest.approx(18, abs=2)  # the floor alone lets it be drawn
    assert stats.chisquare(drawn, expected).pvalue > 0.01


def test_weights_are_of_mean_entropies_and_not_of_the_entropy_of_the_mean():
    """A window half black, half white is as sure as one that is all white."""
    halves = torch.tensor([0.0, 1.0]).repeat_interleave(2).repeat(2)
    confidence = torch.cat([halves[:4], torch.ones(4)]).expand(1, 1, 4, -1)
    windows = draw_windows(confidence, seeded(), side=4, stride=4, count=10_000)
    assert stats.binomtest(int((windows.left == 0).sum()), 10_000, 0.5).pvalue > 0.01


@pytest.mark.parametrize("chance", [0.0, 0.1, 0.5, 0.85, 1.0])
def test_windows_are_positive_by_a_chance_of_their_mean_confidence(chance):
    confidence = torch.full((1, 1, 10, 10), chance)
    windows = draw_windows(confidence, seeded(), side=10, stride=4, count=5000)
    assert stats.binomtest(int(windows.positive.sum()), 5000, chance).pvalue > 0.01


def test_positive_is_told_of_the_window_that_was_drawn():
    """Where each image and channel has windows sure of yes and windows sure of no."""
    confidence = (torch.rand(3, 2, 5, 6) > 0.5).float()
    blocks = confidence.repeat_interleave(8, 2).repeat_interleave(8, 3)
    windows = draw_windows(blocks, seeded(), side=8, stride=8, count=40)
    for channel in range(2):
        image, top, left, positive = (part[channel] for part in windows)
        assert (confidence[image, channel, top // 8, left // 8] == positive).all()


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_draw_is_the_same_for_every_type_that_holds_the_values(kind):
    # what half precision keeps exact: confidences of 0 and 1, and so windows' means of 16 pixels
    confidence = (torch.rand(2, 2, 20, 20, generator=seeded(1)) > 0.6).float()
    drawn = draw_windows(confidence.to(kind), seeded(), side=4, stride=4)
    assert_same(drawn, draw_windows(confidence, seeded(), side=4, stride=4))


def test_the_draw_does_not_depend_on_how_memory_is_laid_out():
    confidence = torch.rand(2, 3, 80, 70)
    laid = confidence.to(memory_format=torch.channels_last)
    assert_same(draw_windows(laid, seeded()), draw_windows(confidence, seeded()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_draw_is_the_same_on_the_graphics_card():
    confidence = torch.rand(2, 4, 120, 120)
    drawn = draw_windows(confidence.cuda(), seeded(), side=10, stride=4, count=40)
    assert_same(drawn, draw_windows(confidence, seeded(), side=10, stride=4, count=40))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_patches_are_slices_of_the_image_times_those_of_their_channel(layout):
    images = torch.rand(3, 3, 23, 31).to(memory_format=layout)
    confidence = torch.rand(3, 2, 23, 31).to(memory_format=layout)
    windows = draw_windows(confidence, seeded(), side=7, stride=3, count=6)
    patches = cut_patches(images, confidence, windows, 7)
    assert patches.shape == (2, 18, 3, 7, 7)
    for channel in range(2):
        for number in range(18):
            image, top, left = (part[channel, number].item() for part in windows[:3])
            inside = (slice(top, top + 7), slice(left, left + 7))
            expected = images[image][:, *inside] * confidence[image, channel][inside]
            torch.testing.assert_close(patches[channel, number], expected, rtol=0, atol=0)


def test_patches_may_have_another_number_of_colours():
    image, confidence = torch.rand(1, 1, 8, 8), torch.rand(1, 2, 8, 8)
    corner = torch.zeros(2, 1, dtype=torch.long)
    patches = cut_patches(image, confidence, Windows(corner, corner, corner, corner.bool()), 8)
    torch.testing.assert_close(patches[:, 0, 0], image[0] * confidence[0])


def test_gradients_flow_to_the_confidence_of_the_windows_alone():
    images = torch.rand(2, 3, 12, 12)
    confidence = torch.rand(2, 2, 12, 12, requires_grad=True)
    one = torch.tensor([[1], [0]])
    windows = Windows(image=one, top=one + 2, left=one * 5, positive=one.bool())
    cut_patches(images, confidence, windows, 4).sum().backward()
    expected = torch.zeros(2, 2, 12, 12)
    expected[1, 0, 3:7, 5:9] = images[1].sum(0)[3:7, 5:9]
    expected[0, 1, 2:6, 0:4] = images[0].sum(0)[2:6, 0:4]
    torch.testing.assert_close(confidence.grad, expected)
    assert images.grad is None


def test_drawing_holds_no_gradient():
    windows = draw_windows(torch.rand(1, 1, 60, 60, requires_grad=True), seeded())
    assert not any(part.requires_grad for part in windows)
