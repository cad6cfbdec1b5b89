"""Teaching, distilling, fine-tuning and probing in two processes, beside the same in one."""

import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from tests.integration.test_training_methods import make_manifest, write_slide
from wsikd.geometry import Size
from wsikd.runs import RunFolder

QUICK = "--epochs 2 --device cpu --learning-rate 1e-4"
LEARN = f"{QUICK} --fold 0 --batch-mpix 0"
PATCHES = "--images images --table images.csv --mag 10"
COMMANDS = {
    "teacher-10x": f"teach {LEARN} --accumulate 2",
    "baseline": f"teach --mag 2.5 {QUICK} --batch-mpix 0",  # all folds in turn
    "student": f"distil --student-mag 2.5 1.25 {LEARN} --accumulate 2",
    # a region in each step, so that one of the processes has none
    "cached": f"distil --student-mag 2.5 --teacher-pass cached --views 2 {LEARN} --name cached "
    "--accumulate 1",
    "finetuned": f"finetune --student-mag 2.5 {LEARN} --accumulate 2",
    "pair": f"pair {PATCHES} --pairing downsample --downsample-to 4 --expander 8 {QUICK} --batch 4",
    # nine patches are learnt from: a step of the supervised control is of seven
    "probe": f"probe pair* {PATCHES} --controls random supervised --augmented {QUICK} --batch 7",
}
"""By how the names of the runs begin that they make; each has what it needs from those before."""

# All commands in one group of processes, which notes the gradients of the first step of each run.
# Each finds the runs that the others are to start from as they are in the folder of `given`.
WORKER = """
import os, pickle, shlex, shutil, sys
from contextlib import nullcontext
from pathlib import Path
import torch
import wsikd.cli.processes, wsikd.cli.probe
from wsikd.cli import main
from wsikd.training.distributed import is_first, joined, wait
from wsikd.training.trainee import Trainee

torch.set_num_threads(1)
given, commands = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2]))
rank, runs, noted = os.environ.get("RANK", "0"), Path("runs"), {}
change = Trainee._change_weights

def change_and_note(self, *args):
    step = self._optimizer.step
    def note_and_step():
        if self.run.name not in noted:
            named = dict(self.learner.model.named_parameters())
            found = {name: one.grad.clone() for name, one in named.items() if one.grad is not None}
            noted[self.run.name] = found
        step()
    self._optimizer.step = note_and_step
    change(self, *args)
    self._optimizer.step = step

def note(event, details):
    if event == "open" and "runs" in str(details[0]) and details[1] and set(details[1]) & set("wa"):
        written.append(str(details[0]))

written = []
Trainee._change_weights = change_and_note
with joined("cpu"):
    # torch forms one group only in a process's life
    wsikd.cli.processes.joined = wsikd.cli.probe.joined = lambda _: nullcontext()
    sys.addaudithook(note)
    for made, line in commands.items():
        if is_first() and given:
            shutil.rmtree(runs, ignore_errors=True)
            shutil.copytree(given, runs, ignore=shutil.ignore_patterns(f"{made}*"))
        wait()
        assert main(shlex.split(line)) == 0, line
        wait()
        if is_first():
            for run in runs.glob(f"{made}*"):
                shutil.copytree(run, Path("made") / run.name) if run.is_dir() else None
with open(f"noted-{rank}", "wb") as file:
    pickle.dump((noted, written), file)
"""


def make_workspace(folder):
    """Write slides with a region of noise each, a table of folds, and images of two classes."""
    for index in range(7):
        size = Size(32 + 8 * index, 72 - 8 * index)
        write_slide(folder / "regions", f"s{index}", size, more=[(1.25, 8)])
    make_manifest().to_csv(folder / "slides.csv", index=False)
    (folder / "images").mkdir()
    random, rows = np.random.default_rng(0), []
    for number in range(13):
        pixels = random.integers(100 * (number % 2), 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        split = "test" if number > 8 else "train"
        row = {"path": f"images/{number}.png", "label": "ab"[number % 2], "split": split}
        rows.append(row | {"patient_id": f"p{number}"})
    pd.DataFrame(rows).to_csv(folder / "images.csv", index=False)
    return folder


def start(folder, *command):
    """Start Python in a process of its own."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def carry_out(folder, launcher=(), given=""):
    """Carry out all commands; return the folder, and what was printed and said."""
    (folder / "worker.py").write_text(WORKER)
    lines = [part for pair in COMMANDS.items() for part in pair]
    process = start(folder, *launcher, "worker.py", given, *lines)
    printed, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return folder, printed, said


def noted(folder, rank):
    return pickle.loads((folder / f"noted-{rank}").read_bytes())


@pytest.fixture(scope="module")
def in_one(tmp_path_factory):
    """Carry out all commands in one process."""
    return carry_out(make_workspace(tmp_path_factory.mktemp("one")))[0]


@pytest.fixture(scope="module")
def in_two(in_one, tmp_path_factory):
    """Carry them out in two, which start from the runs of the one."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    folder = make_workspace(tmp_path_factory.mktemp("two"))
    return carry_out(folder, launcher, str(in_one / "runs"))


def test_the_gradients_of_a_step_are_those_of_one_process(in_one, in_two):
    expected, _ = noted(in_one, 0)
    assert len(expected) == 10  # students twice, folds of the baseline three times
    for rank in (0, 1):
        found, _ = noted(in_two[0], rank)
        assert found.keys() == expected.keys()
        for run, gradients in expected.items():
            largest = max(gradient.abs().max() for gradient in gradients.values())
            assert found[run].keys() == gradients.keys()
            for name, gradient in gradients.items():
                assert (found[run][name] - gradient).abs().max() <= 1e-6 * largest, (run, name)


def test_the_predictions_are_those_of_one_process(in_one, in_two):
    tables = sorted(path.relative_to(in_one / "made") for path in in_one.glob("made/*/*.csv"))
    tables = [path for path in tables if path.name.startswith("predictions")]
    assert len(tables) == 2 * 8 + 5  # of the best and the last epoch, and of probes
    for path in tables:
        expected, found = (pd.read_csv(folder / "made" / path) for folder in (in_one, in_two[0]))
        pd.testing.assert_frame_equal(found, expected, rtol=0, atol=1e-4)


def test_the_logs_are_those_of_one_process_and_tell_how_evenly_regions_were_dealt(in_one, in_two):
    for path in in_one.glob("made/*/log.jsonl"):
        expected, found = (
            RunFolder(folder / "made" / path.parent.name).read_log()
            for folder in (in_one, in_two[0])
        )
        assert [entry["steps"] for entry in found] == [entry["steps"] for entry in expected]
        assert [entry["train"]["loss"] for entry in found] == pytest.approx(
            [entry["train"]["loss"] for entry in expected], rel=1e-4
        )
        assert all("balance" not in entry for entry in expected)
    taught, alone = (
        RunFolder(in_two[0] / "made" / f"{name}-fold0") for name in ("teacher-10x", "cached")
    )
    # s4 of 64 x 40 and s5 of 72 x 32 pixels in one step: the one who has s5 waits
    assert [entry["balance"] for entry in taught.read_log()] == [(2560 + 2304) / (2 * 2560)] * 2
    assert [entry["balance"] for entry in alone.read_log()] == [0.5] * 2


def test_the_second_process_writes_and_says_nothing(in_two):
    folder, printed, said = in_two
    assert noted(folder, 1)[1] == []
    assert printed.count("teacher-10x-fold0\n") == 1
    assert said.count("teacher-10x-fold0: epoch 2/2") == 1
    assert said.count("is asked once about 5 regions") == 1
    assert said.count("13 patches") == 1


TAUGHT = f"teach {LEARN} --accumulate 2".split()
RUN = "runs/teacher-10x-fold0"


def wsikd(folder, *arguments):
    """Return status, what was printed and what was said of a command that two processes share."""
    process = start(folder, "-m", "wsikd", "--gpus", "2", *arguments)
    printed, said = process.communicate(timeout=300)
    return process.returncode, printed, said


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Teach with --gpus 2; return the workspace and how it ended."""
    folder = make_workspace(tmp_path_factory.mktemp("shared"))
    return folder, wsikd(folder, *TAUGHT)


def test_gpus_starts_processes_that_share_the_work_and_speak_with_one_voice(shared):
    folder, (status, printed, said) = shared
    assert (status, printed) == (0, f"{RUN}\n"), said
    lines = said.splitlines()
    assert len(lines) == 4  # what it learns from and takes, and two epochs
    assert all(line.startswith("teacher-10x-fold0: ") for line in lines), said
    assert "balance" in RunFolder(folder / RUN).read_log()[0]


@pytest.mark.parametrize(
    ("more", "expected", "why"),
    [
        # the first process alone refuses this, and all refuse that
        ("--weight-decay 1", 5, f"{RUN}: was started with weight_decay 0.0001, now asked for 1.0"),
        ("--model resnet10w32-bn", 2, "--model resnet10w32-bn: has batch normalisation, which"),
    ],
)
def test_a_refusal_is_one_line_and_ends_all_with_its_status(shared, more, expected, why):
    status, printed, said = wsikd(shared[0], *TAUGHT, *more.split())
    assert (status, printed) == (expected, "")
    assert len(said.splitlines()) == 1
    assert said.startswith(f"wsikd: {why}")


def test_a_signal_stops_all_after_a_checkpoint_and_a_kill_of_one_ends_the_other(tmp_path):
    workspace = make_workspace(tmp_path)
    arguments = [
        *("-m", "wsikd", "--gpus", "2"),
        *" ".join(TAUGHT).replace("--epochs 2", "--epochs 5000").split(),
    ]
    with start(workspace, *arguments) as process:
        next(line for line in process.stderr if "epoch 2/5000" in line)
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM, said
    (line,) = [line for line in said.splitlines() if line.startswith("wsikd: ")]
    assert "teacher-10x-fold0: saved in epoch" in line
    with start(workspace, *arguments) as process:
        next(line for line in process.stderr if "epochs, " in line and "goes on after" in line)
        next(line for line in process.stderr if "epoch " in line)
        psutil.Process(process.pid).children()[1].kill()
        said = process.stderr.read()
    assert process.returncode == 128 + signal.SIGKILL, said
    assert "Traceback" not in said
    assert "was ended by SIGKILL; run the same command to go on" in said
