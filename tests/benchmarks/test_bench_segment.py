"""How fast a segmenter is trained and its confidences are streamed, and in how much memory.

Run by `make bench`, or alone: `pytest tests/benchmarks/test_bench_segment.py --benchmark-only -s`.
The obvious program runs the network as it is, channels_last: on the whole image, or on tiles with
the halo around them. The programs take turns, so that other work on the machine slows all of them,
and the best of their rounds counts. Training is held against bare forward and backward steps of its
network on crops of the same size. Nothing is asserted; docs/benchmarks.md keeps the results.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from wsikd.geometry import Pixels, Size
from wsikd.nuclei.learn.inputs import gather
from wsikd.nuclei.learn.segment import segment
from wsikd.nuclei.learn.settings import SegmentSettings
from wsikd.nuclei.network import HALO, ConfidenceNetwork, lift
from wsikd.nuclei.stream import stream_confidence
from wsikd.training.loop import Loop
from wsikd.workspace import Workspace

ROUNDS = 5
PUBLISHED = {
    "compare": "colours",
    "window": 50,
    "stride": 20,
    "windows": 10,
    "balance": False,
    "learning_rate": 2e-4,
    "compat": "release",
}
CHANNEL = 1


def name_size(size: Size) -> str:
    return f"{size.width}x{size.height}"


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> ConfidenceNetwork:
    return ConfidenceNetwork(4).eval().to(memory_format=torch.channels_last)


@pytest.mark.benchmark(group="confidences of an image, streamed")
@pytest.mark.parametrize(
    "size", [Size(320, 256), Size(1000, 1000), Size(3000, 2000)], ids=name_size
)
def test_apply(benchmark, model, size, threads, capsys):
    image = np.random.default_rng(0).integers(0, 256, (size.height, size.width, 3), np.uint8)
    programs = {
        "wsikd": lambda: run_streamed(model, image),
        "whole image": lambda: run_plain(model, image),
    }
    for tile in (512, 1024):
        if tile < size.height:
            programs[f"tiles of {tile} px"] = lambda tile=tile: run_tiles(model, image, tile)
    seconds = benchmark.pedantic(take_turns, args=(programs,), rounds=1)
    rates = {name: size.width * size.height / 1e6 / best for name, best in seconds.items()}
    ours = rates.pop("wsikd")
    benchmark.extra_info |= {"MPix/s": ours, "times the best plain": ours / max(rates.values())}
    with capsys.disabled():
        print(f"\n{size.width} x {size.height} px, threads: {threads}: {ours:.2f} MPix/s")
        for name, rate in rates.items():
            print(f"  {ours / rate:.1f} times the plain network, {name} ({rate:.2f} MPix/s)")


def take_turns(programs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the seconds of each program's best round; the first is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS + 1):
        for name, program in programs.items():
            begun = time.perf_counter()
            program()
            seconds[name].append(time.perf_counter() - begun)
    return {name: min(times[1:]) for name, times in seconds.items()}


def run_streamed(model: ConfidenceNetwork, image: Pixels) -> None:
    strips = (image[top : top + 256] for top in range(0, len(image), 256))
    for _rows in stream_confidence(model, strips, Size(image.shape[1], image.shape[0]), CHANNEL):
        pass


@torch.inference_mode()
def run_plain(model: ConfidenceNetwork, image: Pixels) -> torch.Tensor:
    return model(lift(torch.tensor(image).permute(2, 0, 1)[None]))[0, CHANNEL]


def run_tiles(model: ConfidenceNetwork, image: Pixels, tile: int) -> None:
    """Run the plain network on tiles whose inner part is exact."""
    for top in range(0, image.shape[0], tile):
        for left in range(0, image.shape[1], tile):
            rows = slice(max(0, top - HALO), top + tile + HALO)
            columns = slice(max(0, left - HALO), left + tile + HALO)
            run_plain(model, image[rows, columns])


@pytest.mark.benchmark(group="training a segmenter")
@pytest.mark.parametrize("published", [False, True], ids=["defaults", "published settings"])
def test_train(benchmark, tmp_path, published, capsys):
    """Train in full: 25 epochs of thirty images of 1000 x 1000 px, batch 10, crops of 300 px."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for index in range(30):
        small = random.integers(60, 250, (63, 63, 3), np.uint8)
        image = Image.fromarray(small).resize((1000, 1000), Image.Resampling.BICUBIC)
        image.save(tmp_path / "images" / f"{index}.png")
    settings = SegmentSettings(epochs=25, patience=25, **(PUBLISHED if published else {}))
    spent = {"bare": 0.0}

    def train() -> None:
        # bare steps between the epochs, so that other work on the machine slows both alike
        gathered = gather([tmp_path / "images"], None, settings, Workspace(tmp_path), print)
        begun, spent["bare"] = time.perf_counter(), 0.0
        with pytest.MonkeyPatch.context() as patch:
            close = Loop._close_epoch
            patch.setattr(Loop, "_close_epoch", lambda *told: (close(*told), take_bare_steps()))
            segment(*gathered, tmp_path / "runs", settings)
        spent["all"] = time.perf_counter() - begun - spent["bare"]

    network = ConfidenceNetwork(4).to(memory_format=torch.channels_last)
    crops = torch.rand(10, 3, 300, 300).contiguous(memory_format=torch.channels_last)

    def take_bare_steps() -> None:
        begun = time.perf_counter()
        for _ in range(3):
            network(crops).mean().backward()
        spent["bare"] += time.perf_counter() - begun

    benchmark.pedantic(train, rounds=1)
    ratio = spent["all"] / spent["bare"]
    benchmark.extra_info |= {"seconds": spent["all"], "times the bare steps": ratio}
    with capsys.disabled():
        print(f"\ntrained in {spent['all']:.0f} s, {ratio:.2f} times its bare steps")


MEASURE_MEMORY = r"""
import re, sys
from pathlib import Path
import numpy as np
from wsikd.geometry import Size
from wsikd.nuclei.network import ConfidenceNetwork
from wsikd.nuclei.stream import stream_confidence

def peak_mb(size):
    strips = (np.zeros((32, size.width, 3), np.uint8) for _ in range(size.height // 32))
    for _ in stream_confidence(ConfidenceNetwork(4), strips, size, 0):
        pass
    # getrusage would count the parent's memory too; this file is Linux's
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

small = peak_mb(Size(64, 192))
print(peak_mb(Size(int(sys.argv[1]), int(sys.argv[2]))) - small)
"""


@pytest.mark.benchmark(group="memory of streaming")
@pytest.mark.parametrize(
    "size", [Size(1000, 640), Size(1000, 3200), Size(100_000, 192)], ids=name_size
)
def test_memory(benchmark, size, capsys):
    command = [sys.executable, "-c", MEASURE_MEMORY, str(size.width), str(size.height)]
    done = benchmark.pedantic(
        subprocess.run, args=(command,), kwargs={"capture_output": True, "check": True}, rounds=1
    )
    benchmark.extra_info["MB"] = megabytes = float(done.stdout)
    with capsys.disabled():
        print(f"\n{size.width} x {size.height} px: {megabytes:.0f} MB beyond the program's own")
