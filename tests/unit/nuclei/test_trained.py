import numpy as np
import pandas as pd
import pytest
import torch

from wsikd.config import Settings
from wsikd.data.fields.field import balance, brightest
from wsikd.errors import CheckpointError
from wsikd.models.weights import save_model
from wsikd.nuclei.network import ConfidenceNetwork, lift
from wsikd.nuclei.trained import open_segmenter
from wsikd.nuclei.weights import SegmenterDescription
from wsikd.runs import Provenance, RunFolder

ABOUT = {"channels": 2, "mpp": 0.25, "nuclei_channel": 1, "inverted": True, "threshold": 0.4}
ABOUT |= {"score": 0.5, "is_nuclear_sized": True, "has_converged": True}


@pytest.fixture
def make_run(tmp_path):
    def make(select="stain", *, balanced=False, method="segment", finish=True):
        made = Provenance(name="segment-seed3", method=method, classes=())
        run = RunFolder(tmp_path / "segment-seed3").start(Settings(), made)
        torch.manual_seed(0)
        about = SegmenterDescription(**ABOUT, balanced=balanced, selected_by=select)
        save_model(ConfidenceNetwork(2), about, run.model_path())
        run.write_learnt(pd.DataFrame({"slide_id": ["a"], "patient_id": ["p"]}))
        if finish:
            run.finish(seconds=1.0)
        return run

    return make


def test_a_run_tells_how_its_confidences_show_nuclei(make_run):
    segmenter = open_segmenter(make_run())
    assert (segmenter.run, segmenter.channel, segmenter.inverted) == ("segment-seed3", 1, True)
    assert (segmenter.threshold, segmenter.mpp, segmenter.labels) == (0.4, 0.25, "none")
    assert segmenter.learnt[["slide_id", "patient_id"]].to_numpy().tolist() == [["a", "p"]]
    assert open_segmenter(make_run()).balanced is False


def test_labels_that_selected_are_disclosed(make_run):
    assert open_segmenter(make_run("labels")).labels == "epoch and channel"


@pytest.mark.parametrize("balanced", [False, True])
def test_the_confidence_is_the_networks_on_the_colours_it_was_trained_on(make_run, balanced):
    segmenter = open_segmenter(make_run(balanced=balanced))
    pixels = np.random.default_rng(0).integers(40, 180, (30, 50, 3), np.uint8)
    seen = balance(pixels, brightest(pixels)) if balanced else pixels
    with torch.inference_mode():
        images = lift(torch.from_numpy(seen).permute(2, 0, 1)[None])
        expected = 1 - segmenter.network(images)[0, 1].numpy()
    np.testing.assert_allclose(segmenter.confidence(pixels, brightest(pixels)), expected, atol=1e-5)


def test_refuses_what_is_no_finished_segmenter(make_run, tmp_path):
    with pytest.raises(CheckpointError, match="gone: no such run; train it by wsikd segment train"):
        open_segmenter(RunFolder(tmp_path / "gone"))
    with pytest.raises(CheckpointError, match="segment-seed3: is not finished; run wsikd segment"):
        open_segmenter(make_run(finish=False))


def test_refuses_runs_of_another_method(make_run):
    with pytest.raises(CheckpointError, match="must be a run of wsikd segment train, is a pair"):
        open_segmenter(make_run(method="pair"))
