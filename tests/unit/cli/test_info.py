import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from skimage.draw import disk

from wsikd.cli import main
from wsikd.config import Settings
from wsikd.models.weights import save_model
from wsikd.nuclei.network import ConfidenceNetwork
from wsikd.nuclei.weights import SegmenterDescription
from wsikd.runs import Provenance, RunFolder

HERE = ("--tissue.min-area-mm2", "0.005", "--tissue.smoothing-um", "5")


@pytest.fixture
def slide(tmp_path):
    """Draw nuclei 6.5 µm wide at 0.25 µm per pixel on a piece of tissue amid glass."""
    drawn, pixels = np.random.default_rng(0), np.full((600, 900, 3), 250, np.uint8)
    pixels[100:500, 200:700] = (230, 190, 215)
    for row, column in drawn.uniform((110, 210), (490, 690), (90, 2)):
        pixels[disk((row, column), 13)] = (80, 50, 130)
    Image.fromarray(pixels).save(tmp_path / "drawn.png")
    return tmp_path / "drawn.png"


@pytest.fixture
def model(tmp_path):
    """Write a run whose network is the more confident the darker a pixel is."""
    network = ConfidenceNetwork(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.stem[0].weight[0, :, 1, 1] = 1 / 3
        network.stem[1].weight.fill_(1)
        network.head.weight[0, 0] = -10
        network.head.bias.fill_(5)
    about = SegmenterDescription(
        channels=1,
        mpp=0.25,
        balanced=False,
        nuclei_channel=0,
        inverted=False,
        threshold=0.5,
        selected_by="stain",
        score=0.9,
        is_nuclear_sized=True,
        has_converged=True,
    )
    run = RunFolder(tmp_path / "dark")
    run.start(Settings(), Provenance(name="dark", method="segment", classes=()))
    save_model(network, about, run.model_path())
    run.write_learnt(pd.DataFrame({"slide_id": ["a"], "patient_id": ["a"]}))
    run.finish(seconds=1.0)
    return run.path


@pytest.mark.parametrize(("stated", "doubted"), [("0.25", False), ("0.5", True)])
def test_holds_the_resolution_against_the_size_of_nuclei(slide, model, capsys, stated, doubted):
    told = ("--check-mpp", "--model", str(model), "--json", *HERE)
    assert main(["info", str(slide), "--mpp", stated, *told]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["nuclei"]["median_um"] == pytest.approx(6.5 * float(stated) / 0.25, rel=0.1)
    doubts = [warning for warning in facts["warnings"] if "probably about 2 times" in warning]
    assert bool(doubts) == doubted


def test_asks_for_the_model_that_finds_nuclei(slide, capsys):
    assert main(["info", str(slide), "--check-mpp"]) == 2
    message = "wsikd: --check-mpp needs a nuclei segmenter; name its run folder with --model\n"
    assert capsys.readouterr().err == message


def test_a_model_that_is_not_there_is_named(slide, tmp_path, capsys):
    told = ("--check-mpp", "--model", str(tmp_path / "nowhere"), "--mpp", "0.25", *HERE)
    assert main(["info", str(slide), *told]) == 4
    assert "nowhere: no such run; train it by wsikd segment train" in capsys.readouterr().err


def test_tissue_that_was_searched_in_vain_is_not_called_unsearched(tmp_path, capsys):
    Image.new("RGB", (640, 480), (240, 240, 240)).save(tmp_path / "glass.png")
    assert main(["info", str(tmp_path / "glass.png"), "--mpp", "1"]) == 4
    assert "tissue     none found" in capsys.readouterr().out.splitlines()
    assert main(["info", str(tmp_path / "glass.png"), "--mpp", "1", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["tissue"] == []
