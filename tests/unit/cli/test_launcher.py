"""What --gpus refuses before it starts anything, and the status that it ends with."""

import signal

import pytest

from wsikd.cli import launcher, main

OR_CPU = "or say --device cpu for as many processes without a GPU"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--gpus 0 teach", 'Invalid value "0" for --gpus. Must be >= 1.'),
        ("--gpus 1.5 teach", "Invalid value for --gpus: must be a whole number, got '1.5'"),
        ("--gpus 2 prepare slides", "prepare runs in one process; leave --gpus out"),
        ("segment train images --gpus 2", "segment runs in one process; leave --gpus out"),
        ("--gpus 2 teach --epochs 0", "--epochs must be at least 1, got '0'"),
        (
            "--gpus 2 teach",
            f"--gpus must be at most the 0 GPUs of this machine, got 2; leave it out, {OR_CPU}",
        ),
        (
            "distil --student-mag 1.25 --gpus 3 --device cuda",
            f"--gpus must be at most the 2 GPUs of this machine, got 3; say --gpus 2, {OR_CPU}",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys, arguments, line
):
    count = 2 if "cuda" in arguments else 0
    monkeypatch.setattr(launcher.torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(launcher.torch.cuda, "is_available", lambda: count > 0)
    assert main([*arguments.split(), "--workspace", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"wsikd: {line}\n"


def test_processes_within_processes_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["--gpus", "2", "teach", "--workspace", str(tmp_path)]) == 2
    line = "wsikd: --gpus starts processes of its own; leave it out with torchrun\n"
    assert capsys.readouterr().err == line


def test_the_settings_file_cannot_set_how_many(tmp_path, capsys):
    (tmp_path / "wsikd.yaml").write_text("teach: {gpus: 2}\n")
    assert main(["teach", "--workspace", str(tmp_path)]) == 2
    assert "teach cannot set the gpus; say --gpus" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ({0: 5}, 5),
        ({0: 143, 1: 143}, 143),
        ({0: -signal.SIGTERM, 1: 2}, 2),
        ({0: 4, 1: -signal.SIGKILL}, 137),
        ({0: -signal.SIGTERM, 1: -signal.SIGSEGV}, 139),
    ],
)
def test_the_status_is_that_of_what_failed_first_not_of_what_was_ended_for_it(codes, status):
    assert launcher._status(codes, 2) == status
