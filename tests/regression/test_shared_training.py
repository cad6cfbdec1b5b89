"""Teach and distil on real slides, one region at a time: the weights of the plainest of loops.

The loop here is what training was before regions were read together: one region, its gradient, and
a step of Adam along the mean of so many. Trained by it are the networks of the library, from the
augmented views and the losses of the library, which have tests of their own.
"""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from wsikd.cohort.manifest import read_manifest
from wsikd.cohort.splits import splits_of_fold
from wsikd.data.augment.regions import AugmentSettings, augment, draw_augmentation
from wsikd.data.held import HeldPixels
from wsikd.data.regions import list_items
from wsikd.data.statistics import standardise
from wsikd.methods.distil import distil
from wsikd.methods.distil import make_step as make_distilling_step
from wsikd.methods.distil_settings import DistilSettings
from wsikd.methods.region_inputs import read_inputs
from wsikd.methods.teach import TeachSettings, teach
from wsikd.methods.teach import make_step as make_teaching_step
from wsikd.methods.teacher_answers import LiveTeacher
from wsikd.methods.train_runs import Feeds
from wsikd.models.seeding import build_seeded
from wsikd.models.weights import load_model
from wsikd.prepare import PrepareSettings, prepare_slides
from wsikd.pyramid.levels import PyramidSettings
from wsikd.runs import RunFolder
from wsikd.store import RegionStore
from wsikd.training.feeds.regions import Augmentation
from wsikd.training.loop import Loop
from wsikd.training.trainee import Learner, Trainee

SPLITS = ("train", "train", "train", "val", "test")  # of each organ
ORGANS = ("colon", "liver")
TEACHER_MAG, STUDENT_MAG = 1.25, 0.625
EPOCHS, PER_STEP = 3, 4
NAMES = ("teacher-1.25x", "student-0.625x")
COUNTS = {"epochs": EPOCHS, "accumulate": PER_STEP, "device": "cpu"}
TEACHING = {"mag": TEACHER_MAG, "role": "teacher", **COUNTS}
DISTILLING = {"student_mag": STUDENT_MAG, "teacher": NAMES[0], **COUNTS}


@pytest.fixture(scope="module")
def manifest(shared_data):
    """List five slides of each of two organs."""
    table = read_manifest(shared_data / "atlas_organ" / "slides.csv")
    chosen = pd.concat(table[table["label"] == organ].head(len(SPLITS)) for organ in ORGANS)
    return chosen.assign(split=SPLITS * len(ORGANS)).reset_index(drop=True)


@pytest.fixture(scope="module")
def store(manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas") / "regions"
    pyramid = PyramidSettings(magnifications=(TEACHER_MAG, STUDENT_MAG))
    settings = PrepareSettings(pyramid=pyramid, workers=0)
    assert all(not one.error for one in prepare_slides(manifest, folder, settings))
    return RegionStore(folder)


@pytest.fixture(scope="module")
def alone(store, manifest, tmp_path_factory):
    """Return runs of teacher and student that read one region at a time."""
    runs = tmp_path_factory.mktemp("alone") / "runs"
    teach(store, manifest, runs, TeachSettings(**TEACHING, batch_mpix=0))
    distil(store, manifest, runs, DistilSettings(**DISTILLING, batch_mpix=0))
    return runs


class Plain:
    """The plainest of loops.

    `loss` makes the loss of one region of its index and its augmented images.
    """

    def __init__(self, store, manifest):
        self._store = store
        self.items = list_items(store, splits_of_fold(manifest, None), ("train",))

    def train(self, model, views, loss):
        """Train a network; `views` has magnification, mean and std of each image of a region."""
        model = model.to(memory_format=torch.channels_last).train()
        adam = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
        for epoch in range(1, EPOCHS + 1):
            order = np.random.default_rng((0, epoch)).permutation(len(self.items)).tolist()
            for start in range(0, len(order), PER_STEP):
                group = order[start : start + PER_STEP]
                for index in group:
                    images = [self.see(epoch, index, *view) for view in views]
                    (loss(index, *images) * (1 / len(group))).backward()
                adam.step()
                adam.zero_grad()
        return model.state_dict()

    def see(self, epoch, index, magnification, mean, std):
        item = self.items[index]
        pixels = self._store.read_pixels(item.slide_id, item.region_id, magnification)
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255
        image = augment(image, draw_augmentation(AugmentSettings(), 0, epoch, index))
        image = standardise(image, mean, std)[None]
        return image.contiguous(memory_format=torch.channels_last)


def view_of(run):
    reads = json.loads(run.model_path().with_suffix(".json").read_text())
    return reads["magnification"], reads["mean"], reads["std"]


def last_weights(runs, name):
    return load_file(RunFolder(runs / name).model_path("last"))


def test_a_teacher_of_one_region_at_a_time_has_the_weights_of_the_plain_loop(
    store, manifest, alone
):
    plain = Plain(store, manifest)
    model = build_seeded("resnet10w32", len(ORGANS), seed=0)

    def loss(index, image):
        label = torch.tensor([ORGANS.index(plain.items[index].label)])
        return nn.CrossEntropyLoss()(model(image).logits, label)

    expected = plain.train(model, [view_of(RunFolder(alone / NAMES[0]))], loss)
    found = last_weights(alone, NAMES[0])
    assert len(plain.items) >= 2 * PER_STEP - 1  # so that there are several steps an epoch
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_student_of_one_region_at_a_time_has_the_weights_of_the_plain_loop(
    store, manifest, alone
):
    plain = Plain(store, manifest)
    source = RunFolder(alone / NAMES[0])
    teacher = load_model(source.model_path())[0].eval().requires_grad_(False)
    teacher = teacher.to(memory_format=torch.channels_last)
    student = build_seeded("resnet10w32", len(ORGANS), seed=0)

    def loss(_index, coarse, fine):
        found = student(coarse)
        with torch.no_grad():
            expected = teacher(fine)
        target = expected.logits.log_softmax(1)
        soft = F.kl_div(found.logits.log_softmax(1), target, reduction="batchmean", log_target=True)
        size = found.feature_map.shape[2:]
        pooled = F.adaptive_max_pool2d(expected.feature_map, size)
        resized = F.interpolate(expected.feature_map, size, mode="bicubic")
        pixel = 0.5 * F.mse_loss(found.feature_map, pooled)
        return soft + (pixel + 0.5 * F.mse_loss(found.feature_map, resized))

    views = [view_of(RunFolder(alone / NAMES[1])), view_of(source)]
    expected = plain.train(student, views, loss)
    found = last_weights(alone, NAMES[1])
    assert all(torch.equal(found[name], expected[name]) for name in expected)


class Exact:
    """Training as it is, but for float64: there rounding does not decide on a step of Adam.

    Its first steps follow the signs of gradients. Where one is nothing but rounding, float32
    weights come to lie two steps apart, when they are read together as when two threads add.
    """

    def __init__(self, store, manifest, runs):
        inputs = read_inputs(store, manifest, None)
        self._items, self._runs = inputs.items["train"], runs
        self._feeds = partial(Feeds, inputs, device=torch.device("cpu"), pixels=HeldPixels(store))
        self.reads = {name: load_model(RunFolder(runs / name).model_path()) for name in NAMES}

    def train(self, name, place, **options):
        """Return the last weights of a run, trained once more."""
        model = build_seeded("resnet10w32", len(ORGANS), seed=0).double()
        if name == NAMES[0]:
            settings, views = TeachSettings(**TEACHING, **options), {"image": self.reads[name][1]}
            step = make_teaching_step(model)
        else:
            settings = DistilSettings(**DISTILLING, **options)
            teacher, reads = self.reads[NAMES[0]]
            views = {settings.view: self.reads[name][1], "teacher": reads}
            step = make_distilling_step(model, LiveTeacher(teacher.double()), settings)
        learner = Learner(model, lambda batch: step(as_float64(batch)), lambda: lambda _path: None)
        run = RunFolder(place).start(settings, RunFolder(self._runs / name).read_provenance())
        feeds = self._feeds(settings=settings, budget=1e6 * options.get("batch_mpix", 1))
        feed = feeds.make(self._items, views, augmentation(settings))
        Loop([Trainee(run, learner, settings)], feed, None).run()
        assert run.read_log()[-1]["steps"] >= 5
        return model.state_dict()


def as_float64(batch):
    images = {
        name: view._replace(pixels=view.pixels.double()) for name, view in batch.images.items()
    }
    return replace(batch, images=images)


def augmentation(settings):
    return Augmentation(settings.augment, settings.seed)


def apart(one, other):
    """Return the length of the difference of all weights."""
    squares = [((one[name].double() - other[name].double()) ** 2).sum() for name in one]
    return sum(squares).sqrt().item()


@pytest.mark.parametrize("name", NAMES)
def test_read_together_their_weights_are_the_same_but_for_rounding(
    store, manifest, alone, tmp_path, name
):
    exact = Exact(store, manifest, alone)
    one = exact.train(name, tmp_path / "one" / name, batch_mpix=0)
    other = exact.train(name, tmp_path / "other" / name)
    assert max((one[key] - other[key]).abs().max().item() for key in one) <= 1e-6

    runs = shutil.copytree(alone, tmp_path / "runs")
    shutil.rmtree(runs / name)
    if name == NAMES[0]:
        (run,) = teach(store, manifest, runs, TeachSettings(**TEACHING))
    else:
        (run,) = distil(store, manifest, runs, DistilSettings(**DISTILLING))
    assert max(entry["padding"] for entry in run.read_log()) > 1  # regions were read together
    assert apart(last_weights(runs, name), one) <= 2 * apart(last_weights(alone, name), one)
