import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsikd.geometry import Size
from wsikd.nuclei import stream
from wsikd.nuclei.network import HALO, ConfidenceNetwork, lift
from wsikd.nuclei.stream import stream_confidence

CHANNEL = 2


@pytest.fixture(scope="module")
def model() -> ConfidenceNetwork:
    """Return a network whose batch norms have seen images, and whose confidences are far apart."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ConfidenceNetwork(4)
        for _ in range(20):
            model(torch.rand(2, 3, 48, 48))
        with torch.no_grad():
            model.head.weight *= 5
    return model.eval()


def draw(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)


def run_whole(model: ConfidenceNetwork, image: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model(lift(torch.tensor(image).permute(2, 0, 1)[None]))[0, CHANNEL].numpy()


def run_in_strips(model: ConfidenceNetwork, image: np.ndarray, heights: list[int]) -> np.ndarray:
    edges = [0, *itertools.accumulate(heights), len(image)]
    strips = (image[top:bottom] for top, bottom in itertools.pairwise(edges))
    size = Size(image.shape[1], image.shape[0])
    return np.concatenate(list(stream_confidence(model, strips, size, CHANNEL)))


def test_would_notice_a_constant(model):
    assert run_whole(model, draw(60, 60)).std() > 0.1


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (7, 5), (300, 2), (2, 300), (HALO, HALO), (90, 200), (130, 96)]
)
def test_equals_the_network_on_the_whole_image(model, width, height):
    image = draw(width, height)
    whole = run_whole(model, image)
    streamed = run_in_strips(model, image, [])
    assert streamed.dtype == np.float32
    np.testing.assert_allclose(streamed, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 5, 32])
def test_does_not_depend_on_how_many_rows_are_computed_at_once(model, monkeypatch, rows):
    image = draw(40, 100)
    monkeypatch.setattr(stream, "_PIXELS", 40 * rows)
    streamed = run_in_strips(model, image, [3, 50])
    np.testing.assert_allclose(streamed, run_whole(model, image), rtol=0, atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(heights=st.lists(st.integers(0, 70), max_size=8), width=st.integers(1, 40))
def test_does_not_depend_on_the_heights_of_the_strips(model, heights, width):
    image = draw(width, sum(heights) + 1)
    in_one = run_in_strips(model, image, [])
    np.testing.assert_array_equal(run_in_strips(model, image, heights), in_one)


@pytest.mark.parametrize("panel", [30, 100, 199])
def test_has_no_seams_between_panels_of_columns(model, monkeypatch, panel):
    image = draw(200, 20)
    monkeypatch.setattr(stream, "_PANEL", panel)
    streamed = run_in_strips(model, image, [7])
    np.testing.assert_allclose(streamed, run_whole(model, image), rtol=0, atol=1e-5)


def test_gives_rows_before_it_has_read_more_than_the_halo_and_a_strip(model):
    read = []
    strips = (read.append(row) or draw(8, 1) for row in range(10**9))
    first = next(stream_confidence(model, strips, Size(8, 10**9), CHANNEL))
    assert len(first) > 0
    assert len(read) <= HALO + 256 + 1


def test_counts_as_in_evaluation_and_leaves_a_network_in_training_as_it_was(model):
    image = draw(20, 30)
    in_evaluation = run_in_strips(model, image, [])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        in_training = run_in_strips(model.train(), image, [])
        assert model.training
    finally:
        model.eval()
    np.testing.assert_array_equal(in_training, in_evaluation)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_leaves_gradients_on_for_those_who_read_its_rows(model):
    for _rows in stream_confidence(model, [draw(9, 200)], Size(9, 200), CHANNEL):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def test_refuses_a_channel_that_the_network_lacks(model):
    with pytest.raises(IndexError):
        next(stream_confidence(model, [draw(9, 9)], Size(9, 9), 4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gives_the_same_on_a_gpu(model, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    image = draw(300, 200)
    streamed = stream_confidence(model, [image], Size(300, 200), CHANNEL, device="cuda")
    on_cpu = run_whole(model, image)
    np.testing.assert_allclose(np.concatenate(list(streamed)), on_cpu, rtol=0, atol=1e-4)
