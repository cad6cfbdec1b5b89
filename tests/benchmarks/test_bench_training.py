"""How long an epoch of training takes, against the published loop and against its own parts.

Run by `make bench`. Every ratio is of times of one run on one machine; it is among the benchmark's
extra information and shown with `-s`. Nothing is asserted on time; docs/benchmarks.md keeps the
results. Regions are of sizes as real ones have, lognormal, at a modest total.
"""

import os
import shutil
import statistics
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance
from torch.utils.data import DataLoader, Dataset

from tests.integration.test_training_methods import write_slide
from wsikd.data.regions import list_items
from wsikd.geometry import Size
from wsikd.methods import distil as distil_module
from wsikd.methods.distil import distil
from wsikd.methods.distil_settings import DistilSettings
from wsikd.methods.teach import TeachSettings, teach
from wsikd.methods.train_runs import Feeds
from wsikd.models.seeding import build_seeded
from wsikd.models.weights import load_model
from wsikd.store import RegionStore
from wsikd.training.feeds.prefetch import _Ahead
from wsikd.training.trainee import Trainee

SPLITS = ("train",) * 16 + ("val",) * 2 + ("test",) * 2
MEDIAN_PX, SPREAD = 700, 0.4  # of a region's sides at 10x: 10 MPix in all, from 0.1 to 1.5
MAGS = (5.0, 2.5, 1.25, 0.625)
QUICK = {"device": "cpu", "accumulate": 32}
VIEWS, EPOCHS = 8, 100
CORES = os.cpu_count()
ROUNDS = 4  # epochs, of which the first is not counted
WANTED = 8.3  # times faster over so many epochs by the formula, at 1.25x


@pytest.fixture(scope="module", params=[1, CORES] if CORES > 1 else [1], autouse=True)
def threads(request):
    """Compute with one thread, and with all, as is done outside of tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def manifest():
    rows = [
        (f"s{index}", f"p{index}", f"{index}.svs", "ab"[index % 2], split, "")
        for index, split in enumerate(SPLITS)
    ]
    columns = ["slide_id", "patient_id", "path", "label", "split", "fold"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "regions"
    sides = np.random.default_rng(0).lognormal(np.log(MEDIAN_PX), SPREAD, (len(SPLITS), 2))
    for index, (width, height) in enumerate(sides.astype(int).tolist()):
        more = [(mag, round(10 / mag)) for mag in MAGS if mag != 2.5]
        write_slide(folder, f"s{index}", Size(width, height), more=more)
    return RegionStore(folder)


@pytest.fixture(scope="module")
def taught(store, manifest, tmp_path_factory):
    runs = tmp_path_factory.mktemp("taught") / "runs"
    teach(store, manifest, runs, TeachSettings(epochs=1, **QUICK))
    return runs


@pytest.fixture
def train(store, manifest, taught, tmp_path):
    """Return what distils anew and returns the runs."""

    def distil_anew(mags, **options):
        runs = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "runs"
        shutil.copytree(taught, runs)
        cache = tmp_path / "cache"
        settings = DistilSettings(student_mag=mags, **QUICK | options)
        return distil(store, manifest, runs, settings, cache=cache)

    return distil_anew


def epoch_seconds(run):
    """Return what an epoch usually took, once all was warm."""
    return statistics.median(entry["seconds"] for entry in run.read_log()[1:])


def tell(benchmark, **found):
    """Keep numbers beside the benchmark's own, and show them."""
    found = {name: round(value, 3) for name, value in found.items()}
    benchmark.extra_info.update(found)
    print("\n" + ", ".join(f"{name} {value}" for name, value in found.items()))


class Published(Dataset):
    """Both views of each region, jittered by PIL with one draw, as tensors."""

    def __init__(self, store, items, reads):
        self._store, self._items, self._reads = store, items, reads

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        item, random = self._items[index], np.random.default_rng()
        factors, flips = random.uniform(0.5, 1.5, 3), random.random(2) < 0.5
        hue = random.uniform(-0.2, 0.2)
        views = []
        for reads in self._reads:
            pixels = self._store.read_pixels(item.slide_id, item.region_id, reads.magnification)
            image = Image.fromarray(pixels)
            kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
            for enhance, factor in zip(kinds, factors, strict=True):
                image = enhance(image).enhance(factor)
            *_, value = bands = list(image.convert("HSV").split())
            bands[0] = bands[0].point([(shade + round(255 * hue)) % 256 for shade in range(256)])
            image = Image.merge("HSV", (*bands[:2], value)).convert("RGB")
            for flip, way in zip(flips, Image.Transpose, strict=False):
                image = image.transpose(way) if flip else image
            tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
            mean, std = (torch.tensor(each)[:, None, None] for each in (reads.mean, reads.std))
            views.append((tensor - mean) / std)
        return views


def published_epoch(loader, teacher, student, adam):
    """Learn from all regions, each alone, and look at every loss."""
    total = 0.0
    for count, (fine, coarse) in enumerate(loader, start=1):
        with torch.no_grad():
            expected = teacher(fine)
        found = student(coarse)
        size = found.feature_map.shape[2:]
        resized = F.interpolate(expected.feature_map, size, mode="bicubic")
        pooled = F.adaptive_max_pool2d(expected.feature_map, size)
        pixel = (F.mse_loss(found.feature_map, pooled) + F.mse_loss(found.feature_map, resized)) / 2
        soft = F.kl_div(
            found.logits.log_softmax(1), expected.logits.softmax(1), reduction="batchmean"
        )
        loss = (soft + pixel) / 32
        loss.backward()
        total += loss.item()
        if count % 32 == 0 or count == len(loader):
            adam.step()
            adam.zero_grad()
    return total


def published_seconds(store, manifest, run, taught):
    items = list_items(store, manifest, ("train",))
    teacher, fine = load_model(taught / "teacher-10x" / "model.safetensors")
    _, coarse = load_model(run.model_path())
    student = build_seeded("resnet10w32", 2, seed=0).train()
    adam = torch.optim.Adam(student.parameters(), lr=1e-3)
    loader = DataLoader(Published(store, items, (fine, coarse)), batch_size=1, shuffle=True)
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        published_epoch(loader, teacher, student, adam)
        spent.append(time.perf_counter() - began)
    return statistics.median(spent[1:])


def test_epoch_against_the_published_loop(benchmark, train, store, manifest, taught, monkeypatch):
    """Targets: at least 1.8 times faster live, 8 times cached, 0.7 of the formula over 100."""
    spent, ask = Counter(), distil_module.ask

    def timed_ask(*told):
        began = time.perf_counter()
        ask(*told)
        spent["ask"] += time.perf_counter() - began

    monkeypatch.setattr(distil_module, "ask", timed_ask)
    (live,) = train(1.25, epochs=ROUNDS)
    # as many epochs as there are views, for all of them to be asked about
    (cached,) = benchmark.pedantic(
        train, (1.25,), {"epochs": VIEWS, "teacher_pass": "cached", "views": VIEWS}, rounds=1
    )
    published = published_seconds(store, manifest, live, taught)
    gain = EPOCHS * epoch_seconds(live) / (spent["ask"] + EPOCHS * epoch_seconds(cached))
    tell(
        benchmark,
        published_s=published,
        live_s=epoch_seconds(live),
        cached_s=epoch_seconds(cached),
        live_gain=published / epoch_seconds(live),
        cached_gain=published / epoch_seconds(cached),
        asked_s=spent["ask"],
        gain_over_100_epochs=gain,
        share_of_formula=gain / WANTED,
    )


def test_four_students_at_once(benchmark, train):
    """Target: at least 2.0 times faster than one after the other."""
    together = benchmark.pedantic(train, (MAGS,), {"epochs": ROUNDS}, rounds=1)
    alone = sum(epoch_seconds(train(mag, epochs=ROUNDS)[0]) for mag in MAGS)
    tell(benchmark, together_s=epoch_seconds(together[0]), alone_s=alone,
         gain=alone / epoch_seconds(together[0]))  # fmt: skip


class Timed:
    """A feed, and the time until it yields."""

    def __init__(self, feed, spent):
        self._feed, self._spent = feed, spent

    def __len__(self):
        return len(self._feed)

    def __getattr__(self, name):
        return getattr(self._feed, name)

    def steps(self, order, per_step, *, epoch=None):
        for batches in self._time(self._feed.steps(order, per_step, epoch=epoch)):
            yield self._time(batches)

    def _time(self, each):
        each = iter(each)
        while True:
            began = time.perf_counter()
            found = next(each, None)
            self._spent["feed"] += time.perf_counter() - began
            if found is None:
                return
            yield found


def test_what_an_epoch_is_spent_on(benchmark, train, monkeypatch):
    """Targets: at most 3 % of an epoch waited for what is read, at least 90 % in networks.

    The rest is mostly what makes batches ready on the device: their augmentation. Doing that in
    the threads that read ahead was tried: with as many threads as cores an epoch takes as long.
    """
    spent, make = Counter(), Feeds.make
    monkeypatch.setattr(
        Feeds, "make", lambda self, *args, **how: Timed(make(self, *args, **how), spent)
    )
    monkeypatch.setattr(_Ahead, "take", _timed(_Ahead.take, spent, "reading"))
    for name in ("learn", "look", "take_step"):
        monkeypatch.setattr(Trainee, name, _timed(getattr(Trainee, name), spent, "networks"))
    (run,) = benchmark.pedantic(train, (1.25,), {"epochs": ROUNDS}, rounds=1)
    whole = sum(entry["seconds"] for entry in run.read_log())
    ready = spent["feed"] - spent["reading"]
    tell(
        benchmark,
        waiting=spent["reading"] / whole,
        making_ready=ready / whole,
        networks=spent["networks"] / whole,
    )


def _timed(function, spent, name):
    def timed(*args, **options):
        began = time.perf_counter()
        found = function(*args, **options)
        spent[name] += time.perf_counter() - began
        return found

    return timed
