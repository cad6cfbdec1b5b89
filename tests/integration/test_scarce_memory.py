"""Trainings that run out of memory: what is changed then, what is told, and that it is the same."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.builders import write_noise_workspace
from tests.integration.test_training_methods import _one_thread  # noqa: F401  a fixture
from wsikd.errors import TooLargeError
from wsikd.methods.teach import TeachSettings, teach
from wsikd.models.footprint import Allocations
from wsikd.store import RegionStore

SIZE = (768, 640)
QUICK = {"epochs": 1, "device": "cpu", "workers": 0, "resident": "none", "memory_gib": 100}
TEACHER = "teacher-10x"


class Scarce(Allocations):
    """As if there were so many bytes for tensors, as a device has that refuses what is too much."""

    def __init__(self, limit):
        super().__init__()
        self._limit = limit

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = super().__torch_dispatch__(operation, types, args, kwargs)
        if self.alive > self._limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return result

    def _meet(self, storage):
        if storage.device.type != "meta":  # nothing is there
            super()._meet(storage)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Six slides, of one region of noise each, three of them to learn from."""
    folder = tmp_path_factory.mktemp("scarce")
    write_noise_workspace(folder, [SIZE] * 6)
    return folder


@pytest.fixture(scope="module")
def learn(workspace):
    """Return what teaches, by the settings given, and returns weights and predictions."""
    manifest = pd.read_csv(workspace / "slides.csv", dtype=str).fillna("")

    def learn(runs, **settings):
        settings = TeachSettings(**{**QUICK, **settings})
        (run,) = teach(RegionStore(workspace / "regions"), manifest, runs, settings)
        return load_file(run.model_path("last")), run.read_predictions("last")

    return learn


@pytest.fixture(scope="module")
def peak(learn, tmp_path_factory):
    """Return the bytes of tensors that are alive at once, by the settings given."""

    def peak(**settings):
        with Allocations() as seen:
            learn(tmp_path_factory.mktemp("peak"), **settings)
        return seen.peak

    return peak


def test_a_region_is_computed_in_a_slower_way_and_the_weights_are_the_same(
    learn, peak, tmp_path, capfd
):
    alone = {"batch_mpix": 0, "accumulate": 1}
    weights, predictions = learn(tmp_path / "much", **alone)
    with Scarce(0.93 * peak(**alone)):
        scarce, predicted = learn(tmp_path / "scarce", **alone)
    assert all(scarce[name].equal(tensor) for name, tensor in weights.items())
    pd.testing.assert_frame_equal(predicted, predictions)
    (said,) = [line for line in capfd.readouterr().err.splitlines() if "memory" in line]
    start, _, end = said.partition(": s")
    assert start == TEACHER
    assert end[1:] in {
        f"/region-000: memory ran out, computed 'plain'; what is as large as its {width} x "
        f"{height} pixels is computed 'recompute' from here on"
        for width, height in (SIZE, SIZE[::-1])
    }


def test_a_batch_is_halved_and_the_weights_are_the_same_but_for_rounding(
    learn, peak, tmp_path, capfd
):
    together = {"batch_mpix": 1, "accumulate": 3}
    weights, predictions = learn(tmp_path / "much", **together)
    with Scarce(0.75 * peak(**together)):
        scarce, predicted = learn(tmp_path / "scarce", **together)
    for name, tensor in weights.items():
        # a step of Adam is as long as the learning rate, whichever way rounding turns a tiny one
        torch.testing.assert_close(scarce[name], tensor, rtol=0, atol=2e-3)
        assert (scarce[name] - tensor).abs().median() < 1e-6
    columns = ["p_0", "p_1"]
    np.testing.assert_allclose(predicted[columns], predictions[columns], atol=1e-3)
    said = capfd.readouterr().err
    assert "memory ran out; batches have half the pixels from here on" in said
    assert "computed" not in said


def test_what_no_way_fits_is_refused_by_name(learn, peak, tmp_path):
    alone = {"batch_mpix": 0, "accumulate": 1}
    pixels = rf"({SIZE[0]} x {SIZE[1]}|{SIZE[1]} x {SIZE[0]}) pixels"
    message = (
        rf"^s\d/region-000: memory ran out, which its {pixels} need \d+ MB of, computed "
        r"'recompute', which takes least; the 107 GB that networks may take are not there: end "
        "other programs, or use a lower magnification"
    )
    with pytest.raises(TooLargeError, match=message), Scarce(0.5 * peak(**alone)):
        learn(tmp_path, **alone)
