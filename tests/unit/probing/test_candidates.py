"""What candidates keep between answers, and for how long."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
import torch

from wsikd.data.patches import PatchSource
from wsikd.data.regions import RegionItem
from wsikd.geometry import Size
from wsikd.models import build_model
from wsikd.models.weights import ModelDescription, load_model
from wsikd.probing.candidates import Identity
from wsikd.probing.frozen_encoder import FrozenEncoder, random_control
from wsikd.probing.labelled_patches import LabelledPatches
from wsikd.probing.plain_controls import PlainControl
from wsikd.probing.settings import ProbeSettings
from wsikd.runs import RunFolder

ASKED = ProbeSettings(device="cpu", epochs=2)
DESCRIPTION = ModelDescription(
    architecture="resnet10w32",
    classes=("taught", "before", "here"),
    magnification=10.0,
    mpp=1.0,
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
)


class NoisyPatches(PatchSource):
    """Twelve patches of two classes, of a train and a test split or of folds."""

    size, magnification, fingerprint, origin = Size(8, 8), 2.5, "f", "here"

    def __init__(self, split=("train", "train", "test"), fold=("",)):
        names = [f"s{k}" for k in range(12)]
        table = pd.DataFrame({"slide_id": names, "patient_id": names, "path": ""})
        table["split"], table["fold"] = (
            list(split) * (12 // len(split)),
            list(fold) * (12 // len(fold)),
        )
        self.table = table.assign(label=list("ab") * 6)
        rows = self.table[["slide_id", "patient_id", "slide_id", "split", "label"]]
        self.items = tuple(RegionItem(*row) for row in rows.itertuples(index=False, name=None))

    def read(self, index):
        return np.random.default_rng(index).integers(0, 256, (8, 8, 3), np.uint8)

    def place(self, index):
        return None


@pytest.fixture
def patches(tmp_path):
    source = NoisyPatches()
    return LabelledPatches(source, source, "mine", "mine", tmp_path / "cache")


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


class Making:
    """Makes something, and knows how often it did and whether anyone still has it."""

    def __init__(self, make):
        self._make, self.made = make, []

    def __call__(self, *inputs):
        thing = self._make(*inputs)
        self.made.append(weakref.ref(thing[0] if isinstance(thing, tuple) else thing))
        return thing

    @property
    def is_free(self):
        gc.collect()
        return all(reference() is None for reference in self.made)


def test_histograms_are_made_once_when_asked_for_and_are_free_afterwards(patches, run):
    describe = Making(lambda patches: np.ones((len(patches.rows), 3)))
    control = PlainControl("shape", patches, lambda dealt, shapes, _: shapes[:, :2] / 2, describe)
    assert control.identity.stem == "shape-mine"
    answering = control.begin()
    assert not describe.made
    for percent in (50, 100):
        answer = answering(patches.deal(None, percent, 0), run, ASKED)
        assert answer.probabilities.tolist() == [[0.5, 0.5]] * 12
    assert len(describe.made) == 1
    assert not describe.is_free
    del answering, answer
    assert describe.is_free


def test_an_encoder_is_loaded_once_stays_as_it_is_and_is_free_afterwards(patches, run):
    load = Making(lambda: (build_model("resnet10w32", 0), lambda _: DESCRIPTION))
    answering = FrozenEncoder(Identity("mine"), patches, load).begin()
    assert not load.made
    first = answering(patches.deal(None, 50, 0), run, ASKED)
    before = {name: tensor.clone() for name, tensor in load.made[0]().state_dict().items()}
    second = answering(patches.deal(None, 100, 0), run, ASKED)
    after = load.made[0]().state_dict()
    assert len(load.made) == 1
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert first.gmacs == second.gmacs > 0
    assert not np.array_equal(first.probabilities, second.probabilities)
    model, description = load_model(run.model_path())
    assert (model.fc.out_features, description.classes) == (2, ("a", "b"))
    del answering
    assert load.is_free


@pytest.mark.parametrize("percent", [100, 25])
@pytest.mark.parametrize("folds", [(None,), (0, 1, 2)])
def test_a_random_encoder_is_standardised_by_the_training_patches_of_the_fold_alone(
    tmp_path, run, folds, percent
):
    in_folds = {"split": ("",), "fold": ("0", "1", "2")} if len(folds) > 1 else {}
    source = NoisyPatches(**in_folds)
    patches = LabelledPatches(source, source, "mine", "mine", tmp_path / "cache")
    answering = random_control(patches, "resnet10w32", 0, ASKED).begin()
    for fold in folds:
        dealt = patches.deal(fold, percent, 0)
        answering(dealt, run, ASKED)
        _, description = load_model(run.model_path())
        training = np.stack([source.read(row) for row in dealt.index[dealt["split"] == "train"]])
        assert len(training) < len(dealt)
        assert description.mean == pytest.approx(training.mean((0, 1, 2)) / 255)
        assert description.std == pytest.approx(training.std((0, 1, 2)) / 255)


def test_what_a_random_encoder_answers_does_not_depend_on_tested_patches(tmp_path, run):
    answers = []
    for brightness in (0, 255):
        source = NoisyPatches()
        read = source.read
        tested = source.table["split"] == "test"
        source.read = lambda row, read=read, tested=tested, brightness=brightness: (
            np.full((8, 8, 3), brightness, np.uint8) if tested[row] else read(row)
        )
        cache = tmp_path / f"cache{brightness}"
        patches = LabelledPatches(source, source, "mine", "mine", cache)
        answering = random_control(patches, "resnet10w32", 0, ASKED).begin()
        answer = answering(patches.deal(None, 100, 0), run, ASKED)
        answers.append(answer.probabilities[~tested])
    assert np.array_equal(*answers)
