"""Training by pairs in two processes, beside the same in one."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from wsikd.cli import main
from wsikd.errors import ConfigError
from wsikd.runs import RunFolder
from wsikd.training import distributed

# A process that is stopped after two steps if its rank is 1, and goes on; it notes what it writes.
WORKER = """
import os, signal, sys
from contextlib import nullcontext
import torch
import wsikd.cli.processes
from wsikd.cli import main
from wsikd.training.trainee import Trainee
from wsikd.training.distributed import joined

torch.set_num_threads(1)
take_step, taken = Trainee.take_step, []

def stop_then_step(self, *args):
    taken.append(args)
    if len(taken) == 2 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGTERM)
    return take_step(self, *args)

def note(event, details):
    if event == "open" and "runs" in str(details[0]) and details[1] and set(details[1]) & set("wa"):
        with open(f"written-{os.environ['RANK']}", "a") as file:
            print(details[0], file=file)

sys.addaudithook(note)
Trainee.take_step = stop_then_step
# torch forms one group only in a process's life
wsikd.cli.processes.joined = lambda _: nullcontext()
with joined("cpu"):
    assert main(sys.argv[1:]) == 128 + signal.SIGTERM
    assert len(taken) == 2
    status = main(sys.argv[1:])
sys.exit(status)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a folder of twelve images of noise in it: three batches of four."""
    folder = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(12):
        pixels = random.integers(10 * number, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"image-{number}.png")
    (folder / "worker.py").write_text(WORKER)
    return folder


def command(folder, name, batch=4, epochs=2):
    options = (
        "--pairing downsample --downsample-to 4 --mag 10 --device cpu "
        f"--batch {batch} --epochs {epochs}"
    )
    places = ["--images", str(folder / "images"), "--workspace", str(folder), "--name", name]
    return ["pair", *options.split(), "--learning-rate", "1e-4", "--expander", "8", *places]


def start(*launcher, options):
    """Start a training in processes of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, *options],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def in_one(folder):
    """Train in this process."""
    assert main(command(folder, "one")) == 0
    return RunFolder(folder / "runs" / "one")


@pytest.fixture(scope="module")
def in_two(folder):
    """Train in two processes that torchrun starts; a signal stops one, after which both go on."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("worker.py", *command(folder, "two")),
        ],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return RunFolder(folder / "runs" / "two"), ended.stderr


def test_two_processes_end_with_the_weights_of_one_though_one_was_stopped(in_one, in_two):
    run, _ = in_two
    for branch in ("primary", "privileged"):
        found, expected = (load_file(each.model_path(branch=branch)) for each in (run, in_one))
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-5)
    losses = [[entry["train"]["loss"] for entry in each.read_log()] for each in (run, in_one)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_both_processes_stop_at_the_same_step(in_two):
    _, said = in_two
    assert said.count("saved in epoch 1 after step 2; run the same command to go on") == 2


def test_the_second_process_writes_and_says_nothing_of_the_run(folder, in_two):
    run, said = in_two
    assert run.is_complete()
    assert said.count("epoch 2/2, 6 steps") == 1
    assert "log.jsonl" in (folder / "written-0").read_text()
    assert not (folder / "written-1").exists()


def test_a_batch_that_cannot_be_dealt_evenly_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "process_count", lambda: 2)
    with pytest.raises(ConfigError, match="--batch must be a multiple of the 2 processes, got 5"):
        distributed.refuse_uneven(5)


@pytest.mark.parametrize("arguments", [["prepare", "slides"], ["evaluate"]])
def test_other_commands_are_refused_in_several_processes(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([*arguments, "--workspace", str(tmp_path)]) == 2
    line = f"wsikd: {arguments[0]} runs in one process; start it without torchrun\n"
    assert capsys.readouterr().err == line


def test_a_count_of_processes_without_torchrun_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with (
        pytest.raises(ConfigError, match="WORLD_SIZE is set but RANK is not"),
        distributed.joined("cpu"),
    ):
        pass


def test_one_run_is_trained_by_one_process_and_goes_on_when_that_was_killed(folder, capsys):
    run, options = RunFolder(folder / "runs" / "both"), command(folder, "both", epochs=12)
    with start("wsikd", options=options) as first:
        next(line for line in first.stderr if "both: epoch 1/12" in line)
        first.send_signal(signal.SIGSTOP)
        assert main(options) == 75
        assert capsys.readouterr().err.endswith(
            f"wsikd: {run.path}: process {first.pid} is writing to it; try again when it is done\n"
        )
        first.kill()
    assert main(options) == 0
    assert [entry["epoch"] for entry in run.read_log()] == list(range(1, 13))
    # one more if the first was killed between an epoch's line and its state
    assert len((run.path / "log.jsonl").read_text().splitlines()) <= 13


def test_all_processes_leave_a_run_to_another_that_is_at_it(folder):
    assert main(command(folder, "left")) == 0
    run = RunFolder(folder / "runs" / "left")
    run.write_provenance(run.read_provenance().model_copy(update={"status": "running"}))
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "-m", "wsikd"]
    with run.alone(), start(*launcher, options=command(folder, "left")) as second:
        said = second.stderr.read()
    assert second.returncode == 1, said  # torchrun's, whatever the processes'
    assert f"{run.path}: process {os.getpid()} is writing to it; try again" in said
    assert said.count("wsikd: ") == 1
    assert not run.is_complete()
