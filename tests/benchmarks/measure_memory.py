"""Measure the peak memory of training and reading, in bytes per pixel of the region at hand.

    python tests/benchmarks/measure_memory.py [ARCHITECTURE] [DEVICE] [--policy POLICY]
    python tests/benchmarks/measure_memory.py --predict SIDE

Each figure is a slope: the peak of a large region less that of a small one, by the difference of
their pixels. Weights and libraries, which do not grow with the region, so fall out. On a CPU it is
the peak of a whole process, each a new one; on CUDA that of what PyTorch has allocated there.
Beside it stands what `wsikd.training.memory` predicts of the network alone. With --predict nothing
is measured: it is shown what a step on a square of that side takes, in each way and by each policy.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain

import torch

from wsikd.data.augment.regions import AugmentSettings
from wsikd.geometry import Size
from wsikd.methods.teach import make_step
from wsikd.models import Network, build_model
from wsikd.models.policies import POLICIES, Policy
from wsikd.models.weights import ModelDescription
from wsikd.prepare.peak import peak_mib
from wsikd.training.batch import Batch
from wsikd.training.device import Way, place
from wsikd.training.feeds.regions import About, Augmentation, RegionFeed
from wsikd.training.memory import predict_peak

SIDES = (2048, 3072)  # of several bands, where a stem is tiled
EXACT = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "65536")  # of glibc
CLASSES = ("a", "b")


class Square:
    """One square region, read as if it were two."""

    def __init__(self, side: int) -> None:
        random = torch.Generator().manual_seed(0)
        self._image = torch.randint(0, 256, (3, side, side), dtype=torch.uint8, generator=random)

    def __len__(self) -> int:
        return 2

    def size(self, _index: int) -> Size:
        return Size(self._image.shape[2], self._image.shape[1])

    def read(self, _index: int, _without: Collection[str]) -> Mapping[str, torch.Tensor]:
        return {"image": self._image}


def regions(
    side: int, architecture: str, device: torch.device, *, augmented: bool
) -> Iterator[Batch]:
    """Bring two square regions to the device as training does, from bytes to what is read."""
    halves = (0.5, 0.5, 0.5)
    reads = ModelDescription(
        architecture=architecture, classes=CLASSES, magnification=10, mpp=1, mean=halves, std=halves
    )
    varied = Augmentation(AugmentSettings(), seed=0) if augmented else None
    feed = RegionFeed(
        Square(side), {"image": reads}, device, variation=varied, about=About(labels=(0, 1))
    )
    return chain.from_iterable(feed.steps(range(2), 1, epoch=1))


def build(architecture: str, device: torch.device, policy: Policy) -> Network:
    model = place(build_model(architecture, len(CLASSES)), device)
    model.policy = policy
    return model


def step(side: int, architecture: str, device: torch.device, policy: Policy) -> None:
    """Learn from the labels of two regions, one after the other."""
    model = build(architecture, device, policy).train()
    compute = make_step(model)
    for batch in regions(side, architecture, device, augmented=True):
        compute(batch)["cross_entropy"].backward()


@torch.no_grad()
def read(side: int, architecture: str, device: torch.device, policy: Policy) -> None:
    """Read two regions without gradients, as a teacher does, and every evaluation."""
    model = build(architecture, device, policy).eval()
    for batch in regions(side, architecture, device, augmented=False):
        model(batch["image"])


def vary(side: int, architecture: str, device: torch.device, _policy: Policy) -> None:
    """Vary the colour and the orientation of two regions."""
    for _ in regions(side, architecture, device, augmented=True):
        pass


MEASURED: dict[str, Callable[[int, str, torch.device, Policy], None]] = {
    "training step": step,
    "read without gradients": read,
    "augmentation": vary,
}


def peak_bytes(
    name: str, side: int, architecture: str, device: torch.device, policy: Policy
) -> int:
    """Return the peak of one measurement, in a process that has made no other."""
    MEASURED[name](side, architecture, device, policy)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_mib() * 2**20


def slope(peaks: Sequence[int]) -> float:
    small, large = SIDES
    return (peaks[1] - peaks[0]) / (large**2 - small**2)


def predicted(name: str, architecture: str, policy: Policy) -> str:
    """Say what is expected of the network alone, without its feed."""
    if name == "augmentation":
        return ""
    model, training = build_model(architecture, len(CLASSES)), name == "training step"
    peaks = [predict_peak(model, Size(side, side), policy, training=training) for side in SIDES]
    return f", {slope(peaks):.0f} predicted"


def measure(architecture: str, device: str, policy: Policy) -> None:
    """Print bytes per pixel of everything, each from two processes."""
    for name in MEASURED:
        peaks = []
        for side in SIDES:
            command = [sys.executable, __file__, architecture, device, "--policy", policy]
            command += ["--only", name, str(side)]
            # else the system is not given back at once what is freed, and peaks vary by a tenth
            env = os.environ | EXACT
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
            peaks.append(int(told.stdout))
        print(
            f"{name}, {architecture} computed {policy} on {device}: {slope(peaks):.0f} bytes per "
            f"pixel{predicted(name, architecture, policy)}",
            flush=True,
        )


def predict(side: int) -> None:
    """Print what a training step takes in GiB, for which only shapes go through the networks."""
    ways = (Way(), Way(torch.bfloat16), Way(torch.bfloat16, fused=True))
    for name in ("resnet10w32", "resnet18", "resnet34", "resnet50"):
        for way in ways:
            model = way.bring(build_model(name, len(CLASSES)))
            peaks = [predict_peak(model, Size(side, side), policy) / 2**30 for policy in POLICIES]
            told = ", ".join(
                f"{policy} {peak:.1f}" for policy, peak in zip(POLICIES, peaks, strict=True)
            )
            print(f"{name}, {way.told()}: {told} GiB", flush=True)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("architecture", nargs="?", default="resnet10w32")
    asked.add_argument("device", nargs="?", default="cpu")
    asked.add_argument("--policy", choices=POLICIES, default="plain")
    asked.add_argument("--predict", type=int, metavar="SIDE")
    asked.add_argument("--only", nargs=2, help=argparse.SUPPRESS)  # in a process of its own
    told = asked.parse_args()
    if told.predict:
        predict(told.predict)
    elif told.only:
        name, side = told.only
        on = torch.device(told.device)
        print(peak_bytes(name, int(side), told.architecture, on, told.policy))
    else:
        measure(told.architecture, told.device, told.policy)
