"""`wsikd prepare` in several processes at once: by themselves, as shards, and by a scheduler."""

import json
import os
import shutil
import subprocess
import sys
import time

import dask
import pandas as pd
import pytest

from wsikd.cli import main
from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.locks import in_turn
from wsikd.store import RegionStore

SLIDES = [f"s{number}" for number in range(5)]

# Several commands at once, each in a process that is forked from one that has imported all.
AT_ONCE = """
import json, os, sys
import imagecodecs, openslide, pandas, tifffile, tiffslide, torch, zarr
import wsikd.cli.prepare, wsikd.cohort.manifest, wsikd.slides.tiffslide, wsikd.study
from wsikd.cli import main

pids = []
for words in json.loads(sys.argv[1]):
    pids.append(os.fork())
    if pids[-1] == 0:
        os._exit(main(words))
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes") / "slides"
    folder.mkdir()
    settings = DrawSettings(mpp=2.0, pieces=1, piece_mm=(0.4, 0.5))
    for index, name in enumerate(SLIDES):
        draw_slide(folder / f"{name}.svs", "normal", settings, index=index)
    return folder


def run_at_once(*commands):
    made = subprocess.run(
        [sys.executable, "-c", AT_ONCE, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout.splitlines()[-1]), made.stderr


def words(slides, workspace, *options):
    return ["prepare", str(slides), *options, "--workspace", str(workspace)]


def rows(workspace):
    table = pd.read_csv(workspace / "regions" / "status.csv", keep_default_na=False)
    return table.set_index("slide_id")


def test_two_at_once_leave_a_table_that_is_true(drawn, tmp_path):
    command = words(drawn, tmp_path, "--workers", "0")
    statuses, said = run_at_once(command, command)
    assert 0 in statuses
    assert set(statuses) <= {0, 75}
    assert ("left to other processes;" in said) == (75 in statuses)
    found = rows(tmp_path)
    assert list(found.index) == SLIDES
    assert set(found["status"]) <= {"done", "skipped"}
    assert set(found["error"]) == {""}
    assert main(command) == 0
    assert set(rows(tmp_path)["status"]) == {"skipped"}


def test_two_that_bring_other_slides_at_once_lose_none(drawn, tmp_path):
    for number, name in enumerate(SLIDES[:4]):
        folder = tmp_path / f"folder-{number % 2}"
        folder.mkdir(exist_ok=True)
        shutil.copy(drawn / f"{name}.svs", folder)
    workspace = tmp_path / "cohort"
    options = ("--workers", "0")
    folders = (tmp_path / "folder-0", tmp_path / "folder-1")
    run_at_once(*(words(folder, workspace, *options) for folder in folders))
    table = pd.read_csv(workspace / "slides.csv", dtype=str)
    assert sorted(table["slide_id"]) == SLIDES[:4]


def test_a_slide_that_another_process_holds_is_left_to_it_and_exits_with_75(
    drawn, tmp_path, capsys
):
    command = words(drawn, tmp_path, "--workers", "0")
    with in_turn(tmp_path / "regions" / ".locks" / "s2"):
        assert main(command) == 75
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == (
        f"wsikd: 1 slide left to other processes; {tmp_path / 'regions' / 's2'}: process "
        f"{os.getpid()} is preparing it; try again when it is done"
    )
    assert rows(tmp_path)["status"].to_dict() == dict.fromkeys(["s0", "s1", "s3", "s4"], "done")
    assert main(command) == 0
    assert rows(tmp_path)["status"]["s2"] == "done"


def test_shards_at_once_share_the_slides_and_the_table(drawn, tmp_path):
    statuses, said = run_at_once(
        *(words(drawn, tmp_path, "--workers", "0", "--shard", f"{job}/3") for job in (1, 2, 3))
    )
    assert statuses == [0, 0, 0]
    assert rows(tmp_path)["status"].to_dict() == dict.fromkeys(SLIDES, "done")
    assert RegionStore(tmp_path / "regions").slide_ids() == SLIDES
    assert sorted(pd.read_csv(tmp_path / "slides.csv")["slide_id"]) == SLIDES
    assert said.count(": done, ") == 5  # each once


def test_a_shard_without_a_slide_is_done(drawn, tmp_path, capsys):
    assert main(words(drawn, tmp_path, "--workers", "0", "--shard", "6/6")) == 0
    assert capsys.readouterr().out.startswith("0 slides prepared, 0 were complete, 0 failed")


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_is_refused(drawn, tmp_path, capsys, shard):
    assert main(words(drawn, tmp_path, f"--shard={shard}")) == 2
    said = capsys.readouterr().err
    assert said == f"wsikd: --shard: must be i/n with i from 1 to n, got '{shard}'\n"
    assert not (tmp_path / "slides.csv").exists()


@pytest.fixture
def scheduler(tmp_path):
    """Start a scheduler and two workers as processes; return the first and its address."""
    place = tmp_path / "scheduler.json"
    here = ["--host", "127.0.0.1", "--no-dashboard"]
    processes = [_dask("scheduler", "--port", "0", "--scheduler-file", str(place), *here)]
    try:
        address = _address(place)
        processes += [_dask("worker", address, "--nthreads", "1", *here) for _ in range(2)]
        yield processes[0], address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _dask(*options):
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _address(place):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if place.exists() and (text := place.read_text()):
            return json.loads(text)["address"]
        time.sleep(0.1)
    raise TimeoutError("the scheduler did not start")


def test_a_scheduler_with_two_workers_elsewhere_prepares_the_slides(
    drawn, tmp_path, capsys, scheduler
):
    process, address = scheduler
    (tmp_path / "slides").mkdir()
    for name in ("a.svs", "b.svs"):
        shutil.copy(drawn / "s1.svs", tmp_path / "slides" / name)
    (tmp_path / "slides" / "c.svs").write_bytes(b"")
    options = ("--scheduler", address)
    assert main(words(tmp_path / "slides", tmp_path, *options)) == 3
    found = rows(tmp_path)
    assert found["status"].to_dict() == {"a": "done", "b": "done", "c": "failed"}
    assert "the file is empty" in found.loc["c", "error"]
    assert "its file is that of a as well" in found.loc["b", "warnings"]
    capsys.readouterr()

    process.kill()
    process.wait()
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        assert main(words(drawn, tmp_path, *options)) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(
        f"wsikd: --scheduler must be the address of a dask scheduler, got '{address}' ("
    )
