"""`wsikd prepare` on folders of drawn slides, good and bad, alone and in parallel."""

import shutil
import signal
import subprocess
import sys

import dask
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from wsikd.cli import main
from wsikd.geometry import Region, Size
from wsikd.slides import open_slide
from wsikd.store import RegionStore

# what is wrong: what its row says, beginning after the file's path
FAILURES = {
    "coarse": "the slide's 19 µm per pixel is too coarse for every magnification asked for",
    "dark": "must be brightfield",
    "empty": "the file is empty; copy or download it again",
    "no_mpp": "state it with --mpp or in the manifest's column mpp",
    "no_tissue": "no tissue was found; lower",
    "truncated": "copy it again",
    "unreadable": "damaged",
    "webpage": "a web page or XML text and no slide; download the slide again",
}


def status_of(workspace):
    table = pd.read_csv(workspace / "regions" / "status.csv", keep_default_na=False)
    return table.set_index("slide_id")


@pytest.fixture
def mixed(tmp_path, good_slide, bad_slides):
    """Return a folder of bad slides with good ones among them."""
    folder = tmp_path / "slides"
    shutil.copytree(bad_slides, folder)
    for name in ("a_first.svs", "zz_last.svs"):
        shutil.copy(good_slide, folder / name)
    return folder


@pytest.mark.parametrize("workers", ["0", "2"])
def test_bad_slides_fail_by_name_in_one_line_each_and_the_rest_goes_on(
    tmp_path, mixed, capsys, workers
):
    arguments = ["prepare", str(mixed), "--workers", workers, "--workspace", str(tmp_path)]
    assert main(arguments) == 3
    rows = status_of(tmp_path)
    assert rows["status"].to_dict() == {
        "a_first": "done", "zz_last": "done", **dict.fromkeys(FAILURES, "failed")
    }  # fmt: skip
    for name, told in FAILURES.items():
        (path,) = mixed.glob(f"{name}.*")
        error = rows.loc[name, "error"]
        assert error.startswith(f"{path}: "), error
        assert told in error
        assert "\n" not in error
    assert RegionStore(tmp_path / "regions").slide_ids() == ["a_first", "zz_last"]
    assert not list((tmp_path / "regions").glob(".*.partial"))
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.splitlines()[-1].endswith("8 slides failed; see error")


def test_what_is_stored_is_what_the_slide_holds_where_its_tissue_is(tmp_path, good_slide):
    assert main(["prepare", str(good_slide.parent), "--workers", "0",
                 "--workspace", str(tmp_path)]) == 0  # fmt: skip
    store = RegionStore(tmp_path / "regions")
    record = store.read_slide("good")
    assert len(record.regions) == 2
    assert store.magnifications() == (10, 5, 2.5, 1.25, 0.625)
    for region in record.regions:
        box = Region(region.x, region.y, Size(region.width, region.height))
        with open_slide(good_slide) as slide:
            piece = Image.fromarray(slide.read(box))
        for level in region.levels:
            stored = store.read_pixels("good", region.region_id, level.magnification)
            expected = piece.resize((level.width, level.height), Image.Resampling.LANCZOS)
            apart = np.abs(stored.astype(int) - np.asarray(expected))
            assert apart.max() <= 2
            assert (apart > 1).mean() < 1e-5
    row = status_of(tmp_path).loc["good"]
    assert (row["regions"], row["magnifications"]) == (2, "10 5 2.5 1.25 0.625")
    assert (row["mpp"], row["mpp_source"], row["error"]) == (1.0, "file", "")


def test_refusals_alone_are_told_by_the_first_and_exit_with_5(tmp_path, good_slide, capsys):
    arguments = ["prepare", str(good_slide.parent), "--workers", "0", "--workspace", str(tmp_path)]
    assert main(arguments) == 0
    assert main([*arguments, "--tissue.mpp", "4"]) == 5
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith(
            f"1 slide refused; {tmp_path / 'regions' / 'good'}: was prepared with tissue.mpp 8.0, "
            "now asked for 4.0; redo it with --overwrite"
        )
    )
    row = status_of(tmp_path).loc["good"]
    assert (row["status"], row["regions"], row["mpp"]) == ("failed", 2, 1.0)


def test_a_complete_slide_that_is_gone_is_a_failure_and_no_refusal(tmp_path, good_slide, capsys):
    (tmp_path / "slides").mkdir()
    slide = tmp_path / "slides" / "good.svs"
    shutil.copy(good_slide, slide)
    arguments = ["prepare", str(slide.parent), "--workers", "0", "--workspace", str(tmp_path)]
    assert main(arguments) == 0
    slide.unlink()
    assert main([*arguments[:1], *arguments[2:]]) == 4
    assert capsys.readouterr().err.splitlines()[-1].endswith("status.csv: all 1 slide failed")
    row = status_of(tmp_path).loc["good"]
    assert (row["status"], row["regions"], row["mpp"]) == ("failed", 2, 1.0)


DYING = """
import os, signal, sys
from wsikd.cli import main
from wsikd.slides import READERS
from wsikd.slides.tiffslide import TiffSlideReader

class Dying(TiffSlideReader):
    def _read(self, region, level):
        if level == 0 and self.path.name == "b.svs" and region.y > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._read(region, level)

READERS["tiffslide"] = READERS["tiffslide"]._replace(reader="__main__:Dying")
main(sys.argv[1:])
"""


def test_a_batch_killed_midway_is_completed_by_the_same_command(tmp_path, good_slide):
    (tmp_path / "slides").mkdir()
    for name in "abc":
        shutil.copy(good_slide, tmp_path / "slides" / f"{name}.svs")
    arguments = ["prepare", str(tmp_path / "slides"), "--workers", "0", "--reader", "tiffslide",
                 "--workspace", str(tmp_path)]  # fmt: skip
    killed = subprocess.run([sys.executable, "-c", DYING, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "regions" / ".b.partial").is_dir()
    assert RegionStore(tmp_path / "regions").slide_ids() == ["a"]

    before = (tmp_path / "regions" / "a" / "slide.json").stat().st_mtime_ns
    assert main(arguments) == 0
    assert status_of(tmp_path)["status"].to_dict() == {"a": "skipped", "b": "done", "c": "done"}
    assert (tmp_path / "regions" / "a" / "slide.json").stat().st_mtime_ns == before
    assert not (tmp_path / "regions" / ".b.partial").exists()


CRASHING = """
import os
from wsikd.slides import READERS
from wsikd.slides.tiffslide import TiffSlideReader

class Crashing(TiffSlideReader):
    def __init__(self, path):
        if path.name == "crash.svs":
            os._exit(11)
        super().__init__(path)

READERS["tiffslide"] = READERS["tiffslide"]._replace(reader="crashing:Crashing")
"""


def test_a_slide_that_crashes_its_decoder_fails_alone(tmp_path, good_slide):
    (tmp_path / "slides").mkdir()
    for name in ("a", "crash", "z"):
        shutil.copy(good_slide, tmp_path / "slides" / f"{name}.svs")
    (tmp_path / "crashing.py").write_text(CRASHING)
    with dask.config.set({"distributed.worker.preload": [str(tmp_path / "crashing.py")]}):
        status = main(["prepare", str(tmp_path / "slides"), "--workers", "2",
                       "--reader", "tiffslide", "--workspace", str(tmp_path)])  # fmt: skip
    assert status == 3
    rows = status_of(tmp_path)
    assert rows["status"].to_dict() == {"a": "done", "crash": "failed", "z": "done"}
    assert rows.loc["crash", "error"] == (
        f"{tmp_path / 'slides' / 'crash.svs'}: the worker died twice on it; try another --reader"
    )


@pytest.mark.parametrize(
    ("number", "status", "workers"), [(signal.SIGINT, 130, "2"), (signal.SIGTERM, 143, "0")]
)
def test_a_batch_that_a_script_put_in_the_background_can_be_stopped(
    tmp_path, good_slide, number, status, workers
):
    for index in range(20):
        shutil.copy(good_slide, tmp_path / f"slide-{index:02}.svs")
    words = ["prepare", str(tmp_path), "--workers", workers, "--workspace", str(tmp_path)]
    as_in_background = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    with subprocess.Popen(
        [*as_in_background, sys.executable, "-m", "wsikd", *words],
        stderr=subprocess.PIPE,
        text=True,
    ) as batch:
        next(line for line in batch.stderr if line.startswith("[1/20]"))
        batch.send_signal(number)
        said = batch.stderr.read()
    assert batch.returncode == status
    assert said.endswith("; run the same command to go on\n")
    assert "Traceback" not in said
    assert 1 <= len(status_of(tmp_path)) < 20
    assert not list((tmp_path / "regions").glob(".*.partial"))


WHOLE = ("--tissue.method", "whole", "--mpp", "1", "--pyramid.magnifications", "10", "2.5")


@pytest.fixture
def tiles(tmp_path):
    """Return a folder of pictures with their table beside them, which says where they are."""
    folder = tmp_path / "tiles"
    (folder / "images").mkdir(parents=True)
    lines = ["path,patient_id,label"]
    for index in range(40):
        pixels = np.random.default_rng(index).integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"t{index:02}.png")
        lines.append(f"images/t{index:02}.png,p{index // 4},{'ab'[index % 2]}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def test_pictures_are_prepared_together_and_one_that_cannot_be_read_fails_alone(tmp_path, tiles):
    (tiles / "images" / "t07.png").write_bytes(b"\x89PNG and no more")
    arguments = ["prepare", str(tiles), *WHOLE, "--workspace", str(tmp_path)]
    assert main([*arguments, "--workers", "2"]) == 3
    rows = status_of(tmp_path)
    assert len(rows) == 40
    assert rows[rows["status"] == "failed"].index.tolist() == ["t07"]
    store = RegionStore(tmp_path / "regions")
    assert all(store.read_slide(name).is_picture for name in store.slide_ids())
    assert store.magnifications() == (10, 2.5)
    with Image.open(tiles / "images" / "t11.png") as shown:
        np.testing.assert_array_equal(store.read_pixels("t11", "region-000", 10), shown)
    assert not list((tmp_path / "regions").glob(".*.partial"))

    before = (tmp_path / "regions" / "t11" / "slide.json").stat().st_mtime_ns
    assert main([*arguments, "--workers", "0"]) == 3
    assert set(status_of(tmp_path)["status"]) == {"skipped", "failed"}
    assert (tmp_path / "regions" / "t11" / "slide.json").stat().st_mtime_ns == before


CRASHING_PICTURE = (
    CRASHING.replace("crash.svs", "t05.png")
    .replace(
        "wsikd.slides.tiffslide import TiffSlideReader", "wsikd.slides.image import ImageReader"
    )
    .replace("TiffSlideReader", "ImageReader")
    .replace('"tiffslide"', '"image"')
)


def test_a_picture_that_crashes_its_decoder_fails_alone_in_its_bundle(tmp_path, tiles):
    (tmp_path / "crashing.py").write_text(CRASHING_PICTURE)
    with dask.config.set({"distributed.worker.preload": [str(tmp_path / "crashing.py")]}):
        status = main(["prepare", str(tiles), *WHOLE, "--workers", "1",
                       "--reader", "image", "--workspace", str(tmp_path)])  # fmt: skip
    assert status == 3
    rows = status_of(tmp_path)
    assert rows[rows["status"] != "done"].index.tolist() == ["t05"]
    assert "the worker died twice on it" in rows.loc["t05", "error"]


def test_a_dry_run_tells_each_slide_and_the_sum_and_writes_nothing(tmp_path, good_slide, capsys):
    (tmp_path / "slides").mkdir()
    shutil.copy(good_slide, tmp_path / "slides" / "good.svs")
    (tmp_path / "slides" / "bad.svs").write_bytes(b"")
    words = ["prepare", str(tmp_path / "slides"), "--workspace", str(tmp_path / "work")]
    assert main([*words, "--dry-run"]) == 3
    said = capsys.readouterr()
    bad, good, *total = said.out.splitlines()
    assert bad.startswith(f"bad: would fail, {tmp_path / 'slides' / 'bad.svs'}: the file is empty")
    assert good.startswith("good: 2 regions, ")
    assert "% of the slide, in the box of no region" in good
    assert total[0].startswith("in all 1 slide to prepare, 0 complete, 1 would fail; 2 regions, ")
    assert total[1].endswith(" on this machine, 1 slide at once")
    assert said.err.splitlines()[-2:] == [
        "nothing was written", "wsikd: 1 of 2 slides would fail; see above"
    ]  # fmt: skip
    assert not (tmp_path / "work").exists()


def test_a_page_that_cannot_be_written_is_told_and_the_slides_are_done(
    tmp_path, good_slide, capsys
):
    (tmp_path / "regions" / "index.html" / "x").mkdir(parents=True)
    words = ["prepare", str(good_slide.parent), "--workers", "0", "--workspace", str(tmp_path)]
    assert main(words) == 0
    page = tmp_path / "regions" / "index.html"
    assert f"warning: {page}: not written, " in capsys.readouterr().err
    assert status_of(tmp_path)["status"].to_dict() == {"good": "done"}
