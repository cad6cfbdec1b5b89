import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from PIL import Image

from wsikd.data.patches import PatchSettings
from wsikd.errors import ConfigError
from wsikd.explain.saliency import (
    COLUMNS,
    ExplainSettings,
    agreement,
    darkness,
    explain_runs,
    focus,
)
from wsikd.runs import find_runs
from wsikd.workspace import Workspace

maps = arrays.arrays(np.float32, (6, 5), elements={"min_value": 0, "max_value": 100})


class TestFocus:
    def test_of_an_even_map_is_a_half(self):
        assert focus(np.ones((10, 10))) == 0.5

    def test_of_a_single_place_is_its_share(self):
        spot = np.zeros((10, 10))
        spot[3, 4] = 2
        assert focus(spot) == 0.01

    def test_of_nothing_is_unknown(self):
        assert math.isnan(focus(np.zeros((2, 2))))

    @given(saliency=maps)
    def test_is_what_counting_down_from_the_largest_gives(self, saliency):
        values, held, count = sorted(saliency.ravel().tolist(), reverse=True), 0.0, 0
        if sum(values) == 0:
            return
        while held < sum(values) / 2:
            held += values[count]
            count += 1
        assert focus(saliency) == pytest.approx(count / 30, abs=1.01 / 30)


class TestDarkness:
    def test_of_an_even_map_is_1(self):
        pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
        assert darkness(np.ones((4, 4)), pixels) == pytest.approx(1)

    def test_is_above_1_on_nuclei_and_below_on_glass(self):
        pixels = np.full((2, 2, 3), 255, np.uint8)
        pixels[0, 0] = 55  # 200 dark, 50 on average
        on_nucleus, on_glass = np.zeros((2, 2, 2))
        on_nucleus[0, 0] = on_glass[1, 1] = 1
        assert darkness(on_nucleus, pixels) == pytest.approx(4)
        assert darkness(on_glass, pixels) == 0

    def test_of_a_white_image_is_unknown(self):
        assert math.isnan(darkness(np.ones((2, 2)), np.full((2, 2, 3), 255, np.uint8)))


class TestAgreement:
    def test_is_the_correlation(self):
        first, second = np.random.default_rng(0).random((2, 7, 9)).astype(np.float32)
        expected = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        assert agreement(first, second) == pytest.approx(expected, rel=1e-5)

    def test_with_an_even_map_is_unknown(self):
        assert math.isnan(agreement(np.ones((2, 2)), np.eye(2)))


@pytest.fixture
def own(write_images):
    return PatchSettings(images=write_images("images", normal=4, tumour=4), mag=10.0)


@pytest.fixture(scope="module")
def explained(tmp_path_factory, make_images, make_run):
    """A teacher, explained on five patches of which two are drawn."""
    workspace = Workspace(tmp_path_factory.mktemp("explain"))
    images = make_images(workspace.root / "images", normal=4, tumour=4)
    own = PatchSettings(images=images, mag=10.0)
    classes = ("normal", "tumour")
    make_run(workspace, "teacher-10x", method="teacher", classes=classes, settings=own)
    return explain_runs(["teacher-10x"], ExplainSettings(count=5, shown=2), workspace)


class TestExplainingOneRun:
    def test_writes_a_row_per_patch_and_layer(self, explained):
        table = pd.read_csv(explained.table)
        assert list(table) == list(COLUMNS)
        assert len(table) == 5 * 5
        assert list(table["layer"][:5]) == ["stem", "layer1", "layer2", "layer3", "layer4"]
        assert set(table["target"]) <= {"normal", "tumour"}
        assert table["agreement"].isna().all()

    def test_writes_beside_the_run_and_makes_no_run(self, explained):
        folder = explained.picture.parent
        assert folder.parts[-3:] == ("runs", "teacher-10x", "explain")
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["teacher-10x.csv", "teacher-10x.json", "teacher-10x.png"]
        assert [run.name for run in find_runs(folder.parents[1])] == ["teacher-10x"]

    def test_draws_the_patches_that_are_shown(self, explained):
        with Image.open(explained.picture) as picture:
            picture.load()
            assert picture.width > 900
            assert picture.height > 500

    def test_summarises_without_nan(self, explained):
        document = json.loads(explained.summary.read_text(encoding="utf-8"))
        assert document["patches"] == 5
        (first, *_) = document["means"]
        table = pd.read_csv(explained.table)
        stem = table[table["layer"] == "stem"]
        assert (first["layer"], first["agreement"]) == ("stem", None)
        assert first["focus"] == pytest.approx(stem["focus"].mean(), rel=1e-4)
        assert list(explained.means) == ["focus", "darkness"]


class TestExplainingTwoRuns:
    def test_shows_them_on_the_same_patches(self, workspace, write_run, own):
        write_run("pair-a", settings=own, seed=0)
        write_run("pair-b", settings=own, seed=1)
        explained = explain_runs(["pair-a", "pair-b"], ExplainSettings(count=3, shown=1), workspace)
        assert explained.picture.name == "pair-a-beside-pair-b.png"
        table = pd.read_csv(explained.table)
        first, second = (table[table["run"] == name] for name in ("pair-a", "pair-b"))
        assert list(first["patch"]) == list(second["patch"])
        np.testing.assert_allclose(first["agreement"], second["agreement"])
        assert explained.abouts["pair-a"].startswith("the whole embedding (half its squared norm)")

    def test_equal_networks_agree(self, workspace, write_run, own):
        write_run("pair-a", settings=own, seed=0)
        write_run("pair-b", settings=own, seed=0)
        explained = explain_runs(["pair-a", "pair-b"], ExplainSettings(count=3, shown=1), workspace)
        np.testing.assert_allclose(explained.means["agreement"], 1)

    @pytest.mark.usefixtures("small_timm")
    def test_of_other_layers_are_shown_without_agreement(self, workspace, write_run, own):
        write_run("pair-a", settings=own)
        write_run("pair-b", settings=own, architecture="mobilenetv2")
        explained = explain_runs(["pair-a", "pair-b"], ExplainSettings(count=3, shown=1), workspace)
        table = pd.read_csv(explained.table)
        first, second = (table[table["run"] == name] for name in ("pair-a", "pair-b"))
        assert (len(first), len(second)) == (3 * 5, 3 * 3)
        assert list(second["layer"][:3]) == ["blocks.0", "blocks.1", "head"]
        assert table["agreement"].isna().all()
        assert explained.picture.exists()

    def test_a_batch_more_changes_no_patch(self, workspace, write_run, own, monkeypatch):
        write_run("pair-a", settings=own)
        settings = ExplainSettings(count=6, shown=1)
        whole = explain_runs(["pair-a"], settings, workspace).table.read_text()
        monkeypatch.setattr("wsikd.explain.saliency._BATCH", 2)
        parts = explain_runs(["pair-a"], settings, workspace).table
        expected = pd.read_csv(io.StringIO(whole))
        pd.testing.assert_frame_equal(pd.read_csv(parts), expected, rtol=1e-3)


class TestTheTarget:
    def test_is_the_class_that_is_stated(self, workspace, write_run, own):
        write_run("teacher-10x", method="teacher", classes=("normal", "tumour"), settings=own)
        settings = ExplainSettings(count=4, shown=1, target="tumour")
        table = pd.read_csv(explain_runs(["teacher-10x"], settings, workspace).table)
        assert set(table["target"]) == {"tumour"}

    def test_has_to_be_known(self, workspace, write_run, own):
        write_run("teacher-10x", method="teacher", classes=("normal", "tumour"), settings=own)
        message = "--target must be a class of teacher-10x, which knows normal, tumour; got 'x'"
        with pytest.raises(ConfigError, match=message):
            explain_runs(["teacher-10x"], ExplainSettings(target="x"), workspace)

    def test_is_refused_of_an_encoder_without_classes(self, workspace, write_run, own):
        write_run("pair-a", settings=own)
        with pytest.raises(ConfigError, match="pair-a, which is an encoder without classes; got"):
            explain_runs(["pair-a"], ExplainSettings(target="x"), workspace)
