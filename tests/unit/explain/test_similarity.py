import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from wsikd.data.patches import PatchSettings
from wsikd.errors import CheckpointError, ConfigError
from wsikd.explain.opening import Patches
from wsikd.explain.similarity import (
    COLUMNS,
    SMALLEST_BATCH,
    CkaSettings,
    compare_runs,
    group_of,
)
from wsikd.models.weights import load_model, save_model
from wsikd.runs import find_runs
from wsikd.workspace import Workspace

LAYERS = ["stem", "layer1", "layer2", "layer3", "layer4"]
QUICK = CkaSettings(count=12, batch=7, shuffles=20, draws=100)


@pytest.fixture
def own(write_images):
    return PatchSettings(images=write_images("images", a=10, b=10), mag=10.0)


@pytest.fixture(scope="module")
def compared(tmp_path_factory, make_images, make_run):
    """Two groups of three seeds, compared."""
    workspace = Workspace(tmp_path_factory.mktemp("cka"))
    own = PatchSettings(images=make_images(workspace.root / "images", a=10, b=10), mag=10.0)
    names = [f"{group}-seed{seed}" for group in ("pair-x", "pair-y") for seed in (1, 2, 3)]
    for number, name in enumerate(names):
        make_run(workspace, name, settings=own, seed=number)
    return compare_runs(names, QUICK, workspace)


class TestComparingGroups:
    def test_writes_a_row_per_pair_of_layers(self, compared):
        table = pd.read_csv(compared.table)
        assert list(table) == list(COLUMNS)
        assert len(table) == 3 * len(LAYERS) ** 2
        within = table[(table["first"] == "pair-x") & (table["second"] == "pair-x")]
        matrix = within.pivot(index="first_layer", columns="second_layer", values="cka")
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-4)
        assert table[["low", "high", "chance_low"]].notna().all(axis=None)
        assert (table["low"] <= table["high"]).all()

    def test_makes_no_run(self, compared):
        folder = compared.picture.parent
        assert folder.name == "cka-pair-x-pair-y"
        found = [run.name for run in find_runs(folder.parent)]
        assert found == [f"pair-{name}-seed{seed}" for name in "xy" for seed in (1, 2, 3)]

    def test_says_what_was_compared(self, compared):
        document = json.loads(compared.summary.read_text(encoding="utf-8"))
        assert [run["seed"] for run in document["runs"]] == list(range(6))
        assert [run["regime"] for run in document["runs"]] == ["pair-x"] * 3 + ["pair-y"] * 3
        assert document["images"] == 12
        assert [one["pairs"] for one in document["comparisons"]] == [3, 3, 9]
        assert len(document["separations"][0]["value"]) == len(LAYERS)

    def test_draws_a_picture(self, compared):
        with Image.open(compared.picture) as picture:
            picture.load()
            assert picture.width > 1000

    def test_shows_the_same_layers_with_their_intervals(self, compared):
        shown = compared.same_layers()
        assert list(shown) == ["first", "second", "pairs", *LAYERS]
        assert shown["stem"].str.fullmatch(r"-?\d\.\d\d \[-?\d\.\d\d, -?\d\.\d\d\]").all()


def test_two_runs_alone_have_values_without_interval(write_run, own, workspace):
    write_run("pair-x", settings=own, seed=0)
    write_run("pair-y", settings=own, seed=0)  # the same weights
    compared = compare_runs(["pair-x", "pair-y"], QUICK, workspace)
    assert compared.same_layers()["layer4"].tolist() == ["1.00"]
    assert pd.read_csv(compared.table)["low"].isna().all()


def test_networks_that_are_standardised_differently_each_get_their_own(write_run, own, workspace):
    write_run("pair-x", settings=own, seed=0)
    write_run("pair-y", settings=own, seed=0, mean=(0.1, 0.9, 0.5), std=(1.0, 0.1, 0.3))
    compared = compare_runs(["pair-x", "pair-y"], QUICK, workspace)
    assert compared.same_layers()["layer4"].tolist() != ["1.00"]


@pytest.mark.parametrize(
    ("name", "group"),
    [("pair-x-seed12", "pair-x"), ("teacher-10x-fold3-seed1", "teacher-10x"), ("a", "a")],
)
def test_a_group_is_the_name_without_seed_and_fold(name, group):
    assert group_of(name) == group


@pytest.mark.usefixtures("small_timm")
class TestNetworksOfOtherLayers:
    def test_are_compared_in_a_rectangle(self, write_run, own, workspace):
        write_run("pair-x", settings=own, seed=0)
        write_run("pair-y", settings=own, seed=1, architecture="mobilenetv2")
        compared = compare_runs(["pair-x", "pair-y"], QUICK, workspace)
        table = pd.read_csv(compared.table)
        assert len(table) == 5 * 3
        assert list(dict.fromkeys(table["first_layer"])) == LAYERS
        assert list(dict.fromkeys(table["second_layer"])) == ["blocks.0", "blocks.1", "head"]
        assert compared.picture.exists()
        document = json.loads(compared.summary.read_text(encoding="utf-8"))
        assert document["comparisons"][0]["second_layers"] == ["blocks.0", "blocks.1", "head"]
        assert document["separations"] == []

    def test_show_the_same_layers_within_each_group_only(self, write_run, own, workspace):
        for seed in (1, 2):
            write_run(f"pair-x-seed{seed}", settings=own, seed=seed)
            write_run(f"pair-y-seed{seed}", settings=own, seed=seed + 2, architecture="mobilenetv2")
        compared = compare_runs(["pair-*"], QUICK, workspace)
        shown = compared.same_layers().set_index(["first", "second"])
        filled = shown.drop(columns="pairs") != ""
        assert list(filled.columns[filled.loc["pair-x", "pair-x"]]) == LAYERS
        own_layers = ["blocks.0", "blocks.1", "head"]
        assert list(filled.columns[filled.loc["pair-y", "pair-y"]]) == own_layers
        assert not filled.loc["pair-x", "pair-y"].any()
        assert compared.separations == []

    def test_are_refused_in_one_group(self, write_run, own, workspace):
        write_run("pair-x-seed1", settings=own, seed=1)
        write_run("pair-x-seed2", settings=own, seed=2, architecture="mobilenetv2")
        message = (
            "runs of one group must have the same layers, pair-x-seed1 is a resnet10w32 and "
            "pair-x-seed2 a mobilenetv2; compare those of one architecture"
        )
        with pytest.raises(ConfigError, match=message):
            compare_runs(["pair-x-seed1", "pair-x-seed2"], QUICK, workspace)


class TestRefusals:
    def test_of_a_single_run(self, write_run, write_images, workspace):
        write_run("pair-x", settings=PatchSettings(images=write_images("one", a=3), mag=10.0))
        with pytest.raises(ConfigError, match="runs to compare must be at least 2, got 1"):
            compare_runs(["pair-x"], QUICK, workspace)

    def test_of_fewer_than_four_images(self, write_run, write_images, workspace):
        own = PatchSettings(images=write_images("few", a=3), mag=10.0)
        write_run("pair-x", settings=own, seed=0)
        write_run("pair-y", settings=own, seed=1)
        with pytest.raises(ConfigError, match="images must be at least 4 to compare runs, got 3"):
            compare_runs(["pair-x", "pair-y"], QUICK, workspace)

    def test_of_a_collapsed_network_by_its_name(self, write_run, own, workspace):
        write_run("pair-x", settings=own, seed=0)
        run = write_run("pair-y", settings=own, seed=1)
        model, description = load_model(run.model_path())
        torch.nn.init.zeros_(model.layer4[0].bn2.weight)
        torch.nn.init.zeros_(model.layer4[0].downsample[1].weight)
        save_model(model, description, run.model_path())
        message = "pair-y: its layer4 gives the same features for every image"
        with pytest.raises(CheckpointError, match=message):
            compare_runs(["pair-x", "pair-y"], QUICK, workspace)


@pytest.mark.parametrize("count", range(4, 40))
def test_any_number_of_images_from_four_on_fills_batches_of_four_or_more(count):
    patches = Patches(tuple(map(str, range(count))), ("",) * count, (), "")
    sizes = [len(patches.names[one]) for one in patches.batches(SMALLEST_BATCH)]
    assert sum(sizes) == count
    assert min(sizes) >= 4
