"""How fast and how lean `wsikd prepare` is on a drawn 40x slide; run by `make bench`.

Where one core is measured, times are those of the processor, all threads added up, so that other
work on the machine does not count. Workers are measured by the clock, on a quiet machine with two
cores. Nothing is asserted on time; docs/benchmarks.md keeps the results.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

from wsikd.cli import main
from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.errors import WsikdError
from wsikd.geometry import Region, Size
from wsikd.slides import open_slide, resolution_of
from wsikd.store import RegionRecord, RegionStore
from wsikd.tissue import TissueSettings, find_tissue

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


def by_decoding_and_filtering_alone(
    slide: Path, folder: Path, regions: tuple[RegionRecord, ...]
) -> None:
    """Decode the tiles under each region and filter as many pixels, to no avail: the floor.

    The pixels that are filtered are always the same strip, so that no tile needs to be copied.
    """
    for region in regions:
        strip = np.zeros((min(_STRIP_ROWS, region.height), region.width, 3), np.uint8)
        for _ in _decode_tiles(slide, region):
            pass
        for _ in range(0, region.height, len(strip)):
            for level in region.levels:
                _filter(strip, level.width, round(level.height * len(strip) / region.height))


_STRIP_ROWS = 1024


def _decode_tiles(slide: Path, region: RegionRecord) -> Iterator[np.ndarray]:
    with tifffile.TiffFile(slide) as file:
        page = file.pages[0].aspage()
        side = page.tilewidth
        columns = -(-page.imagewidth // side)
        for row in range(region.y // side, -(-(region.y + region.height) // side)):
            for column in range(region.x // side, -(-(region.x + region.width) // side)):
                index = row * columns + column
                file.filehandle.seek(page.dataoffsets[index])
                data = file.filehandle.read(page.databytecounts[index])
                yield imagecodecs.jpeg8_decode(
                    data, tables=page.jpegtables, colorspace="RGB", outcolorspace="RGB"
                )


def _filter(strip: np.ndarray, width: int, height: int) -> None:
    torch.set_num_threads(1)
    # strides of an image whose channels are last in memory: torch's fastest path
    image = torch.from_numpy(strip)
    image = image.as_strided((1, 3, *strip.shape[:2]), (strip.size, 1, 3 * strip.shape[1], 3))
    torch.nn.functional.interpolate(image, size=(height, width), mode="lanczos", antialias=True)


@pytest.mark.benchmark(group="from slide to store, seconds of one core", timer=time.process_time)
@pytest.mark.parametrize(
    "program", [by_decoding_and_filtering_alone, by_wsikd, by_openslide_and_pillow]
)
def test_from_slide_to_store(benchmark, program, slide, regions, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    benchmark.extra_info["level-0 pixels"] = sum(part.width * part.height for part in regions)
    benchmark.pedantic(
        program,
        setup=lambda: ((slide, tmp_path_factory.mktemp("store"), regions), {}),
        rounds=3,
    )


@pytest.mark.benchmark(group="four slides by workers, seconds by the clock")
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers(benchmark, workers, slide, tmp_path_factory):
    """0 is this process without dask; the sum of the slides' own seconds leaves the start out."""
    folder = tmp_path_factory.mktemp("four")
    for number in range(4):
        os.link(slide, folder / f"slide-{number}.svs")
    workspace = tmp_path_factory.mktemp("workers")
    arguments = [str(folder), "--workers", str(workers), "--workspace", str(workspace)]
    benchmark.pedantic(
        subprocess.run,
        args=([*COMMAND, "prepare", *arguments],),
        kwargs={"check": True, "capture_output": True},
        rounds=1,
    )
    status = pd.read_csv(workspace / "regions" / "status.csv")
    assert (status["status"] == "done").all()
    seconds = status["seconds"].sum()
    benchmark.extra_info["seconds of the slides"] = seconds
    peak = status["peak_mib"].max()
    print(f"\n{workers} workers: {seconds:.1f} s of the slides together, {peak} MiB a worker")


@pytest.fixture(scope="module")
def gigapixels(tmp_path_factory) -> Path:
    """Return a folder with a slide of 60,000 x 60,000 pixels, of one level, with glass around."""
    folder = tmp_path_factory.mktemp("gigapixels")
    side, tiles = 512, -(-60_000 // 512)
    random = np.random.default_rng(0)
    stain = random.integers(120, 240, (side // 8, side // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    stain[..., 1] -= 60
    tissue, glass = (
        imagecodecs.jpeg8_encode(pixels, level=80, colorspace="RGB", outcolorspace="RGB")
        for pixels in (stain, np.full((side, side, 3), 244, np.uint8))
    )
    inside = range(2, tiles - 2)
    encoded = (
        tissue if row in inside and column in inside else glass
        for row in range(tiles)
        for column in range(tiles)
    )
    tifffile.imwrite(
        folder / "gigapixels.tif",
        encoded,
        shape=(60_000, 60_000, 3),
        dtype=np.uint8,
        tile=(side, side),
        photometric="rgb",
        compression="jpeg",
        resolution=(40_000, 40_000),
        resolutionunit="CENTIMETER",
        bigtiff=True,
    )
    return folder


@pytest.mark.benchmark(group="memory")
@pytest.mark.parametrize("kind", ["slide", "gigapixels"])
def test_a_worker_needs_at_most_one_gib(benchmark, kind, request, tmp_path):
    folder = request.getfixturevalue(kind)
    folder = folder.parent if folder.is_file() else folder
    arguments = ["prepare", str(folder), "--workers", "0", "--workspace", str(tmp_path)]
    done = benchmark.pedantic(
        subprocess.run,
        args=([sys.executable, "-c", MEASURED, *arguments],),
        kwargs={"check": True, "capture_output": True, "text": True},
        rounds=1,
    )
    store = RegionStore(tmp_path / "regions")
    regions = store.read_slide(store.slide_ids()[0]).regions
    assert max(min(part.width, part.height) for part in regions) > 20_000
    peak_mib = int(done.stdout.splitlines()[-1]) // 1024
    benchmark.extra_info["peak MiB"] = peak_mib
    print(f"\nlargest memory of a worker: {peak_mib} MiB")
    assert peak_mib <= 1024


@pytest.mark.benchmark(group="the real slides, seconds of one core", timer=time.process_time)
@pytest.mark.filterwarnings("ignore:Parameter `min_size`:FutureWarning")  # tissueloc's
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files it leaves
@pytest.mark.parametrize("program", ["prepare", "search", "tissueloc"])
def test_the_real_slides(benchmark, program, shared_data, tmp_path):
    """tissueloc finds tissue and makes no pixels, as `search` here; both skip what they refuse."""
    folder = shared_data / "slides"
    if program == "prepare":
        arguments = ["prepare", str(folder), "--workers", "0", "--workspace", str(tmp_path)]
        benchmark.pedantic(main, args=(arguments,), rounds=1)
        done = (pd.read_csv(tmp_path / "regions" / "status.csv")["status"] == "done").sum()
    else:
        search = _search if program == "search" else _choose_tissueloc()
        done = benchmark.pedantic(
            lambda: sum(search(slide) for slide in sorted(folder.iterdir())), rounds=1
        )
    print(f"\n{program}: {done} slides")
    assert done >= 8  # the others state no size or hold no tissue


def _search(slide: Path) -> bool:
    try:
        with open_slide(slide) as reader:
            find_tissue(reader, resolution_of(reader).mpp, TissueSettings())
    except WsikdError:
        return False
    return True


def _choose_tissueloc() -> Callable[[Path], bool]:
    reason = "pip install --no-deps tissueloc opencv-python-headless"
    tissueloc = pytest.importorskip("tissueloc", reason=reason)

    def search(slide: Path) -> bool:
        try:
            tissueloc.locate_tissue_cnts(str(slide))
        except (openslide.OpenSlideError, OSError):
            return False
        return True

    return search


@pytest.mark.benchmark(group="start")
def test_help(benchmark):
    benchmark.pedantic(
        subprocess.run,
        args=([*COMMAND, "--help"],),
        kwargs={"check": True, "capture_output": True},
        rounds=5,
        warmup_rounds=1,
    )
