import numpy as np
import pytest
import torch
from PIL import Image

from wsikd.cli import main
from wsikd.config import Settings
from wsikd.models import build_model
from wsikd.models.weights import ModelDescription, save_model
from wsikd.runs import Provenance, RunFolder

QUICK = ["--images", "images", "--mag", "10", "--count", "8"]


def write_run(folder, name, *, magnification=10.0, seed=0):
    run = RunFolder(folder / "runs" / name)
    run.start(Settings(), Provenance(name=name, method="pair", classes=(), seed=seed))
    about = ModelDescription(
        architecture="resnet10w32",
        classes=(),
        magnification=magnification,
        mpp=10 / magnification,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
    )
    torch.manual_seed(seed)
    save_model(build_model("resnet10w32", 0), about, run.model_path())
    run.finish(seconds=0.0)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(8):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    write_run(tmp_path, "pair-x-seed1", seed=1)
    write_run(tmp_path, "pair-y-seed2", seed=2)
    write_run(tmp_path, "pair-coarse", magnification=5.0)
    return tmp_path


def test_explain_says_what_it_found_and_where_it_is(workspace, capsys):
    assert main(["explain", "pair-x-seed1", *QUICK, "--shown", "1"]) == 0
    said = capsys.readouterr()
    folder = workspace / "runs" / "pair-x-seed1" / "explain"
    *table, picture, _, _ = said.out.splitlines()
    assert table[0].split() == ["run", "layer", "focus", "darkness"]
    assert len(table) == 6
    assert (workspace / picture).samefile(folder / "pair-x-seed1.png")
    assert said.err.startswith("pair-x-seed1: maps are about the whole embedding")


def test_explain_shows_two_runs_side_by_side(workspace, capsys):
    assert main(["explain", "pair-x-seed1", "pair-y-seed2", *QUICK, "--shown", "1"]) == 0
    assert "agreement" in capsys.readouterr().out
    path = workspace / "runs" / "pair-x-seed1" / "explain" / "pair-x-seed1-beside-pair-y-seed2.png"
    assert path.exists()


def test_cka_says_what_it_found_and_where_it_is(workspace, capsys):
    assert main(["cka", "pair-x-seed1", "pair-y-seed2", *QUICK, "--shuffles", "20"]) == 0
    *table, picture, _, _ = capsys.readouterr().out.splitlines()
    assert table[0].split() == [
        "first", "second", "pairs", "stem", "layer1", "layer2", "layer3", "layer4",
    ]  # fmt: skip
    assert (workspace / picture).samefile(workspace / "runs" / "cka-pair-x-pair-y" / "cka.png")


def test_settings_of_the_workspace_are_kept(workspace, capsys):
    (workspace / "wsikd.yaml").write_text("explain: {images: images, mag: 10, count: 2}\n")
    assert main(["explain", "pair-x-seed1"]) == 0
    table = workspace / "runs" / "pair-x-seed1" / "explain" / "pair-x-seed1.csv"
    assert len(table.read_text().splitlines()) == 1 + 2 * 5


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["explain", "pair-z"], 4, "runs/pair-z: no such run; see the folder for their names"),
        (["explain", "pair-x-seed1", "--count", "0"], 2, "--count must be at least 1, got '0'"),
        (["explain", "pair-x-seed1", "--branch", "second"], 2, "--branch"),
        (["explain", "pair-x-seed1", "--branch", "privileged", *QUICK], 4,
         "privileged.safetensors: no such network in this pair run"),
        (["explain", "pair-coarse", *QUICK], 2, "pair-coarse reads 5x, the images are 10x"),
        (["cka"], 2, "runs to compare must be at least 2, got 0"),
        (["cka", "pair-x-seed1"], 2, "runs to compare must be at least 2, got 1"),
        (["cka", "pair-x-seed1", "pair-coarse"], 2, "pair-x-seed1 reads 10x, pair-coarse 5x"),
        (["cka", "a", "b", "--batch", "6"], 2, "--batch must be at least 7, got '6'"),
    ],
)  # fmt: skip
def test_refusals_are_one_line(workspace, capsys, arguments, status, message):
    assert main(arguments) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1
