"""How fast and how lean `wsikd prepare` is on a drawn 40x slide; run by `make bench`.

Times are those of the processor, all threads added up, so that other work on the machine does not
count: what one core would take. Nothing is asserted on time; docs/benchmarks.md keeps the results.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image

from wsikd.cli import main
from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.geometry import Region, Size
from wsikd.store import RegionRecord, RegionStore

DRAWN = DrawSettings(mpp=0.25, pieces=1, piece_mm=(6.6, 6.6))
COMMAND = [sys.executable, "-c", "import sys; from wsikd.cli import main; sys.exit(main())"]
# a process inherits ru_maxrss from the one that starts it, so the system is asked for its own
MEASURED = """
import pathlib, re, sys
from wsikd.cli import main
assert main() == 0
status = pathlib.Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1])
"""


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> Path:
    """Return a folder with one slide at 40x with at least 400 million pixels of tissue."""
    folder = tmp_path_factory.mktemp("drawn")
    (outline,) = draw_slide(folder / "drawn.svs", "tumour", DRAWN)
    assert outline.area > 400e6
    return folder / "drawn.svs"


@pytest.fixture(scope="module")
def regions(tmp_path_factory, slide) -> tuple[RegionRecord, ...]:
    """Return the regions that wsikd finds: the obvious program gets them for nothing."""
    workspace = tmp_path_factory.mktemp("found")
    by_wsikd(slide, workspace)
    return RegionStore(workspace / "regions").read_slide("drawn").regions


def by_wsikd(slide: Path, folder: Path, regions: tuple[RegionRecord, ...] = ()) -> None:
    """Search the tissue and make a store of it in this process."""
    arguments = ["prepare", str(slide.parent), "--workers", "0", "--workspace", str(folder)]
    assert main(arguments) == 0


def by_openslide_and_pillow(slide: Path, folder: Path, regions: tuple[RegionRecord, ...]) -> None:
    """Read every region whole, resize it to every magnification and save the arrays."""
    with openslide.OpenSlide(slide) as opened:
        for region in regions:
            box = Region(region.x, region.y, Size(region.width, region.height))
            whole = opened.read_region((box.x, box.y), 0, box.size).convert("RGB")
            for level in region.levels:
                small = whole.resize((level.width, level.height), Image.Resampling.LANCZOS)
                np.save(folder / f"{region.region_id}-{level.path}.npy", np.asarray(small))


@pytest.mark.benchmark(group="from slide to store, seconds of one core", timer=time.process_time)
@pytest.mark.parametrize("program", [by_wsikd, by_openslide_and_pillow])
def test_from_slide_to_store(benchmark, program, slide, regions, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    benchmark.extra_info["level-0 pixels"] = sum(part.width * part.height for part in regions)
    benchmark.pedantic(
        program,
        setup=lambda: ((slide, tmp_path_factory.mktemp("store"), regions), {}),
        rounds=3,
    )


@pytest.mark.benchmark(group="memory")
def test_a_worker_needs_at_most_one_gib(benchmark, slide, regions, tmp_path):
    assert max(min(part.width, part.height) for part in regions) > 20_000
    arguments = ["prepare", str(slide.parent), "--workers", "0", "--workspace", str(tmp_path)]
    done = benchmark.pedantic(
        subprocess.run,
        args=([sys.executable, "-c", MEASURED, *arguments],),
        kwargs={"check": True, "capture_output": True, "text": True},
        rounds=1,
    )
    peak_mib = int(done.stdout.splitlines()[-1]) // 1024
    benchmark.extra_info["peak MiB"] = peak_mib
    print(f"\nlargest memory of a worker: {peak_mib} MiB")
    assert peak_mib <= 1024


@pytest.mark.benchmark(group="start")
def test_help(benchmark):
    benchmark.pedantic(
        subprocess.run,
        args=([*COMMAND, "--help"],),
        kwargs={"check": True, "capture_output": True},
        rounds=5,
        warmup_rounds=1,
    )
