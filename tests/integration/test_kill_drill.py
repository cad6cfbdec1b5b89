"""Trainings that are killed at any moment and go on: they end with the bytes of an unbroken one.

WSIKD_KILLS sets how many are killed; WSIKD_KILLS=30 is a thorough drill.
"""

import json
import os
import signal
import subprocess
import sys
from itertools import cycle, islice

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.integration.test_training_methods import write_slide
from wsikd.geometry import Size
from wsikd.runs import RunFolder

KILLS = int(os.environ.get("WSIKD_KILLS", "9"))
QUICK = ["--epochs", "2", "--device", "cpu", "--checkpoint-minutes", "0"]
OF_REGIONS = ["--fold", "0", "--accumulate", "2", *QUICK]
COMMANDS = {
    "teach": ["teach", "--mag", "2.5", *OF_REGIONS],
    "distil": ["distil", "--student-mag", "5", "0.625", *OF_REGIONS],
    "pair": ["pair", "--images", "images", "--mag", "10", "--pairing", "downsample",
             "--expander", "16", "16", "--batch", "4", *QUICK],
}  # fmt: skip
STUDENTS = [f"student-{mag}x-fold0" for mag in ("5", "0.625")]
RUNS = {
    "teach": ["baseline-2.5x-fold0"],
    "distil": STUDENTS,
    "pair": ["pair-downsample-vicreg-10x"],
}

# Each attempt is a process of its own, forked from one that has imported what a training imports.
KILLER = """
import contextlib, importlib, json, os, pkgutil, random, shutil, signal, sys, time
from wsikd.cli import main

commands, killed = map(json.loads, sys.argv[1:])

def begin(words, workspace):
    pid = os.fork()
    if pid:
        return pid
    log = os.open(f"{workspace}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1), os.dup2(log, 2)
    status = main([*words, "--workspace", workspace])
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
    os._exit(status)

def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def copy(name):
    shutil.rmtree(name, ignore_errors=True)
    return shutil.copytree("start", name)

teacher = "teach --fold 0 --accumulate 2 --epochs 1 --device cpu".split()
assert end(begin(teacher, "start")) == 0
rooms = "data", "losses", "methods", "training"
found = [f"wsikd.{room}" for room in rooms]
found += [
    each.name
    for room in found
    for each in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}.")
]
for module in json.load(open("modules.json")) + found:
    with contextlib.suppress(ImportError):
        importlib.import_module(module)
usual = {}
for name, words in commands.items():
    workspace, began = copy(f"whole-{name}"), time.monotonic()
    assert end(begin(words, workspace)) == 0
    usual[name] = time.monotonic() - began
drawn, ends = random.Random(0), []
for index, name in enumerate(killed):
    workspace, moment = copy(f"killed-{index}"), drawn.uniform(0.02, 1) * usual[name]
    pid = begin(commands[name], workspace)
    time.sleep(moment)
    os.kill(pid, signal.SIGKILL)
    ends.append((end(pid), end(begin(commands[name], workspace))))
print(json.dumps(ends))
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Return a folder with a workspace of small slides, and images beside it."""
    folder = tmp_path_factory.mktemp("drill")
    rows = []
    for index in range(13):  # twelve patients in three folds, and an auxiliary slide
        name, shape = f"s{index}", index % 6
        size = Size(32 + 8 * shape, 72 - 8 * shape)
        more = [(5.0, 2), (0.625, 16)]  # down to two pixels
        write_slide(folder / "start" / "regions", name, size, more=more)
        told = ("", "auxiliary", "") if index == 12 else ("ab"[index % 2], "", str(index // 4))
        rows.append((name, f"p{index}", f"{name}.svs", *told))
    columns = ["slide_id", "patient_id", "path", "label", "split", "fold"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(folder / "start" / "slides.csv", index=False)
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(10):
        pixels = random.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"image-{number}.png")
    return folder


@pytest.fixture(scope="module")
def drill(start):
    """Return the folder after the drill, the method of each killed training, and how all ended."""
    killed = list(islice(cycle(COMMANDS), KILLS))
    made = subprocess.run(
        [sys.executable, "-c", KILLER, json.dumps(COMMANDS), json.dumps(killed)],
        cwd=start,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return start, killed, json.loads(made.stdout)


def content(run):
    """Return models and predictions as bytes, the log and the record but for times."""
    times = {"seconds", "started", "finished"}
    files = [*run.path.glob("*.safetensors"), *run.path.glob("predictions*.csv")]
    log = [{key: each[key] for key in each.keys() - times} for each in run.read_log()]
    record = run.read_provenance().model_dump(exclude=times)
    return {path.name: path.read_bytes() for path in files}, log, record


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_training_that_is_killed_at_any_moment_ends_with_the_same_bytes(drill):
    folder, killed, ends = drill
    assert sum(status == -signal.SIGKILL for status, _ in ends) >= KILLS / 2  # others were ready
    assert {again for _, again in ends} == {0}
    for index, method in enumerate(killed):
        for name in RUNS[method]:
            whole = content(RunFolder(folder / f"whole-{method}" / "runs" / name))
            found = content(RunFolder(folder / f"killed-{index}" / "runs" / name))
            assert {"model.safetensors", "model-last.safetensors"} <= whole[0].keys()
            assert len(whole[1]) == 2
            assert found == whole, (method, index, name)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_killed_training_was_writing_does_not_stay(drill):
    folder, killed, _ = drill
    for index in range(len(killed)):
        assert not list((folder / f"killed-{index}").rglob("*.partial"))
