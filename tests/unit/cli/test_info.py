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


def told_of(out):
    """Return what is told, a list of lines for each name."""
    told, name = {}, ""
    for line in out.splitlines():
        name = line[:10].strip() or name
        told.setdefault(name, []).append(line[11:])
    return told


def test_tells_what_prepare_would_write_and_leave_out(slide, capsys):
    words = ("--mpp", "1.5", "--pyramid.magnifications", "10", "5", "2.5", *HERE)
    assert main(["info", str(slide), *words]) == 0
    told = told_of(capsys.readouterr().out)
    assert [line.split(", ")[0] for line in told["writes"]] == ["5x", "2.5x", "1 region"]
    assert all("about" in line for line in told["writes"])
    assert told["writes"][-1].endswith(" on this machine, by a few samples")
    assert told["left out"][0] == "10x, the slide's own 1.5 µm per pixel is coarser"
    assert told["left out"][1].endswith(" % of the slide, in the box of no region")
    assert main(["info", str(slide), *words, "--json"]) == 0
    writes = json.loads(capsys.readouterr().out)["writes"]
    assert [level["magnification"] for level in writes["levels"]] == [5, 2.5]
    assert writes["levels"][0]["pixels"] == pytest.approx(
        writes["pixels_read"] * (1.5 / 2) ** 2, rel=0.01
    )
    assert writes["estimated_bytes"] > sum(level["estimated_bytes"] for level in writes["levels"])


@pytest.mark.parametrize(
    ("level", "mpp", "tissue"), [(245, "1", "none"), (20, "1", "none"), (245, None, "not searched")]
)
def test_tissue_is_not_searched_only_where_it_was_not(tmp_path, capsys, level, mpp, tissue):
    Image.fromarray(np.full((600, 900, 3), level, np.uint8)).save(tmp_path / "plain.png")
    assert main(["info", str(tmp_path / "plain.png"), *(("--mpp", mpp) if mpp else ())]) == 4
    told = told_of(capsys.readouterr().out)
    assert told["tissue"] == [tissue]
    assert told["writes"] == told["left out"] == ["not known"]
