"""How fast pairs of patches are read and distorted, and what of a training step waits for them.

Run by `make bench`. The obvious program draws the same changes and makes them image by image with
Pillow in a torch DataLoader. Nothing is asserted on time; docs/benchmarks.md keeps the results.
"""

import time
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch.utils.data import DataLoader, Dataset

from wsikd.data.augment.pairs import DistortSettings, draw_distortions
from wsikd.data.patches.pack import pack_view
from wsikd.data.statistics import standardise
from wsikd.geometry import Size
from wsikd.losses.selfsupervised import OBJECTIVES
from wsikd.models import build_model
from wsikd.models.branches import Branch, Branches
from wsikd.models.expander import Expander
from wsikd.models.weights import ModelDescription
from wsikd.training.feeds.patches import Distortion, PatchFeed, PatchView

SIDE, BATCH, COUNT = 96, 128, 1024
CPU = torch.device("cpu")
DISTORTION = Distortion(DistortSettings(), seed=0)
DESCRIPTION = ModelDescription(
    architecture="resnet18-bn",
    classes=(),
    magnification=10.0,
    mpp=1.0,
    mean=(0.7, 0.5, 0.6),
    std=(0.2, 0.2, 0.2),
)


def draw_patch(index: int, *, padded: bool = False) -> np.ndarray:
    """Return a smooth patch of pink, or its centre alone with zeros around it."""
    small = np.random.default_rng(index).integers(90, 250, (12, 12, 3), np.uint8)
    patch = np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    edge = SIDE // 4
    centre = patch[edge:-edge, edge:-edge]
    return np.pad(centre, ((edge, edge), (edge, edge), (0, 0))) if padded else patch


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> list[np.ndarray]:
    """Return the patches of both branches, mapped from disk."""
    cache = tmp_path_factory.mktemp("cache")
    size = Size(SIDE, SIDE)
    return [
        pack_view(name, name, partial(draw_patch, padded=padded), COUNT, size, cache)
        for name, padded in [("primary", False), ("privileged", True)]
    ]


def make_feed(packed: list[np.ndarray]) -> PatchFeed:
    views = {
        name: PatchView(pixels, DESCRIPTION, branch)
        for branch, (name, pixels) in enumerate(zip(("primary", "privileged"), packed, strict=True))
    }
    return PatchFeed(views, range(COUNT), BATCH, CPU, distortion=DISTORTION)


class PillowPairs(Dataset):
    """Distorts every image of a pair by itself, with the draws that wsikd would take."""

    def __init__(self, packed: list[np.ndarray]) -> None:
        self._packed = packed

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        return [self._one(pixels, index, branch) for branch, pixels in enumerate(self._packed)]

    def _one(self, pixels: np.ndarray, index: int, branch: int) -> torch.Tensor:
        draws = draw_distortions(DISTORTION.settings, DISTORTION.seed, 0, [index], branch)
        changes = {name: values[0].item() for name, values in draws._asdict().items()}
        image = distort_with_pillow(Image.fromarray(pixels[index]), changes)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)


def distort_with_pillow(image: Image.Image, changes: dict[str, float]) -> Image.Image:
    image = ImageOps.mirror(image) if changes["flip_horizontal"] else image
    image = ImageOps.flip(image) if changes["flip_vertical"] else image
    height, width = round(changes["crop_height"] * SIDE), round(changes["crop_width"] * SIDE)
    top = int(changes["crop_top"] * (SIDE - height + 1))
    left = int(changes["crop_left"] * (SIDE - width + 1))
    box = (left, top, left + width, top + height)
    image = image.resize(image.size, Image.Resampling.BILINEAR, box=box)
    if changes["noise_seed"] >= 0:
        pixels = np.array(image)
        noise = np.random.default_rng(changes["noise_seed"]).normal(127.5, 73.6, pixels.shape)
        image = Image.fromarray(np.where(pixels == 0, noise.clip(0, 255), pixels).astype(np.uint8))
    if changes["angle"]:
        image = image.rotate(np.degrees(changes["angle"]))
    if np.isfinite(changes["threshold"]):
        image = ImageOps.solarize(image, int(changes["threshold"] * 255))
    image = ImageEnhance.Brightness(image).enhance(changes["brightness"])
    image = ImageEnhance.Contrast(image).enhance(changes["contrast"])
    image = ImageEnhance.Color(image).enhance(changes["saturation"])
    hue, saturation, value = image.convert("HSV").split()
    turned = np.asarray(hue) + np.uint8(int(changes["hue"] * 255) % 256)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")


class WithPillow:
    """An epoch of the obvious program; its worker processes stay from epoch to epoch."""

    def __init__(self, packed: list[np.ndarray], *, workers: int) -> None:
        self._loader = DataLoader(
            PillowPairs(packed),
            BATCH,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    def __call__(self) -> None:
        for views in self._loader:
            for images in views:
                standardise(images, DESCRIPTION.mean, DESCRIPTION.std)


class WithWsikd:
    """An epoch of wsikd's feed."""

    def __init__(self, packed: list[np.ndarray]) -> None:
        self._feed = make_feed(packed)

    def __call__(self) -> None:
        for _views in self._feed.batches(self._feed.order(0, 0), epoch=0):
            pass


PROGRAMS = {
    "wsikd": WithWsikd,
    "Pillow, no workers": partial(WithPillow, workers=0),
    "Pillow, 2 workers": partial(WithPillow, workers=2),
}


@pytest.fixture(scope="module")
def rates() -> dict[str, float]:
    """Return images per second of each program measured so far."""
    return {}


@pytest.mark.benchmark(group="pairs of 96² patches, read and distorted")
@pytest.mark.parametrize("program", PROGRAMS)
def test_loader_alone(benchmark, program, packed, rates, capsys):
    benchmark.pedantic(PROGRAMS[program](packed), rounds=3, warmup_rounds=1)
    rates[program] = 2 * COUNT / benchmark.stats["median"]
    slower = rates["wsikd"] / rates[program] if "wsikd" in rates else float("nan")
    benchmark.extra_info["images per second"] = round(rates[program])
    with capsys.disabled():
        print(f"\n{program}: {rates[program]:,.0f} images/s, wsikd is {slower:.1f} times as fast")


@pytest.mark.benchmark(group="waiting for data")
def test_share_of_a_step_that_waits_for_data(benchmark, packed, capsys):
    step = make_step()
    waited, in_all = benchmark.pedantic(time_steps, args=(make_feed(packed), step), rounds=1)
    benchmark.extra_info["share"] = share = waited / in_all
    with capsys.disabled():
        print(f"\nresnet18, two branches: {in_all:.2f} s a step, {share:.1%} waiting for data")


def make_step():
    """Return a step of VICReg without an expander, which would only add to the work."""
    branches = Branches(
        *(Branch(build_model("resnet18-bn", 0), Expander(512, ())) for _ in range(2))
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(branches.parameters(), lr=1e-4)

    def step(views):
        projections = [branches.project(name, views[name]) for name in ("primary", "privileged")]
        optimizer.zero_grad()
        sum(OBJECTIVES["vicreg"](*projections).values()).backward()
        optimizer.step()

    return step


def time_steps(feed: PatchFeed, step, *, steps: int = 5) -> tuple[float, float]:
    """Return seconds of a step spent in the feed, and in all; the median, without the first."""
    batches = feed.batches(feed.order(0, 0)[: (steps + 1) * BATCH], epoch=0)
    times = []
    for _ in range(steps + 1):
        begun = time.perf_counter()
        views = next(batches)
        ready = time.perf_counter()
        step(views)
        times.append((ready - begun, time.perf_counter() - begun))
    waited, in_all = np.median(times[1:], axis=0).tolist()
    return waited, in_all
