import shutil

import numpy as np
import pandas as pd
import pytest

from tests.builders import coloured_manifest, write_coloured_store
from wsikd.evaluation import ControlSettings
from wsikd.methods.controls import (
    colour_histogram,
    colour_probabilities,
    majority_probabilities,
    refresh_controls,
    write_controls,
)
from wsikd.runs import Provenance, RunFolder


@pytest.fixture
def manifest():
    return coloured_manifest()


@pytest.fixture
def store(tmp_path, manifest):
    """A store whose regions are plain blue or plain red, as their label says."""
    return write_coloured_store(tmp_path / "regions", manifest)


def test_the_majority_control_gives_the_class_frequencies_of_training():
    regions = pd.DataFrame(
        {"label": ["b", "b", "b", "a", "a", "a"], "train": [True] * 4 + [False] * 2}
    )
    probabilities = majority_probabilities(regions, np.zeros((6, 1)), ("a", "b", "c"))
    assert probabilities.tolist() == [[0.25, 0.75, 0.0]] * 6


def test_the_histogram_counts_colours_as_numpy_does():
    pixels = np.random.default_rng(0).integers(0, 256, (13, 7, 3)).astype(np.uint8)
    edges = [np.arange(0, 257, 64)] * 3
    counts, _ = np.histogramdd(pixels.reshape(-1, 3), bins=edges)
    assert colour_histogram(pixels, 4) ** 2 == pytest.approx(counts.ravel() / (13 * 7))


def test_colour_alone_cannot_tell_a_single_training_class_from_others():
    regions = pd.DataFrame({"label": ["a", "b"], "train": [True, False]})
    assert colour_probabilities(regions, np.eye(2), ("a", "b")).tolist() == [[1, 0], [1, 0]]


def test_colour_tells_apart_what_differs_in_colour_and_the_majority_does_not(
    tmp_path, store, manifest
):
    write_controls(tmp_path, store, manifest, [0], ControlSettings())
    colour = RunFolder(tmp_path / "control-colour-fold0").read_predictions()
    majority = RunFolder(tmp_path / "control-majority-fold0").read_predictions()
    blue = colour["label"] == "blue"
    assert ((colour["p_0"] > 0.5) == blue).all()
    assert majority["p_0"].nunique() == 1


def test_controls_predict_for_the_folds_own_test_and_validation_slides(tmp_path, store, manifest):
    write_controls(tmp_path, store, manifest, [1], ControlSettings())
    table = RunFolder(tmp_path / "control-colour-fold1").read_predictions()
    fold_of = manifest.set_index("slide_id")["fold"]
    assert set(fold_of[table.loc[table["split"] == "test", "slide_id"]]) == {"1"}
    assert set(fold_of[table.loc[table["split"] == "val", "slide_id"]]) == {"2"}


def test_controls_of_other_folds_are_removed_and_other_runs_are_not(tmp_path, store, manifest):
    def made(folds):
        for path in tmp_path.glob("teacher-*"):
            shutil.rmtree(path)
        for fold in folds:
            name = "teacher-10x" if fold is None else f"teacher-10x-fold{fold}"
            about = Provenance(name=name, method="teacher", fold=fold, classes=("blue", "red"))
            RunFolder(tmp_path / name).start(ControlSettings(), about).finish(seconds=0.0)
        refresh_controls(tmp_path, store, manifest, ControlSettings())
        return sorted(path.name for path in tmp_path.glob("control-*"))

    mine = Provenance(name="control-colour-fold1", method="teacher", fold=1, classes=("a",))
    RunFolder(tmp_path / mine.name).start(ControlSettings(), mine)
    dealt = manifest.copy()
    manifest["split"] = manifest["fold"].map({"0": "test", "1": "val", "2": "train"})
    manifest["fold"] = ""
    assert made([None]) == ["control-colour", "control-colour-fold1", "control-majority"]
    manifest[["split", "fold"]] = dealt[["split", "fold"]]
    assert made([0, 2]) == [
        "control-colour-fold0",
        "control-colour-fold1",
        "control-colour-fold2",
        "control-majority-fold0",
        "control-majority-fold2",
    ]


def test_a_control_is_made_again_only_when_the_splits_change(tmp_path, store, manifest):
    def written():
        write_controls(tmp_path, store, manifest, [0], ControlSettings())
        return (tmp_path / "control-colour-fold0" / "predictions.csv").stat().st_mtime_ns

    first = written()
    assert written() == first
    manifest["fold"] = manifest["fold"].map({"0": "1", "1": "2", "2": "0"})
    assert written() > first


@pytest.mark.parametrize("name", ["run.json", "settings.yaml", "predictions.csv"])
def test_a_damaged_control_is_made_again(tmp_path, store, manifest, name):
    write_controls(tmp_path, store, manifest, [0], ControlSettings())
    file = tmp_path / "control-colour-fold0" / name
    before = file.read_text()
    if name == "predictions.csv":
        file.unlink()
    else:
        file.write_text("[junk")
    assert write_controls(tmp_path, store, manifest, [0], ControlSettings()) == []
    if name == "run.json":
        assert RunFolder(file.parent).is_complete()
    else:
        assert file.read_text() == before


def test_a_damaged_slide_is_a_note_and_does_not_stop_the_numbers(tmp_path, store, manifest):
    (store.path / "s00" / "slide.json").write_text("junk")
    (note,) = write_controls(tmp_path, store, manifest, [0], ControlSettings())
    assert note.startswith(f"the controls were not made: {store.path / 's00' / 'slide.json'}: ")
