import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from wsikd.errors import BusyError
from wsikd.locks import alone, in_turn, read_holder

HOLD = """
import os, sys, time
from pathlib import Path
from wsikd.locks import alone
with alone(Path(sys.argv[1]), str):
    if len(sys.argv) > 2:
        os.fork()
    os.write(1, b"held\\n")
    time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 60)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "locks" / "s1"


@pytest.fixture
def other(lock):
    """Return another process that holds the lock."""
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def enter(lock):
    with alone(lock, lambda holder: f"{lock.parent}: {holder} is at work; try again"):
        return read_holder(lock)


def test_who_finds_a_lock_taken_is_told_by_which_process(lock, other):
    with pytest.raises(BusyError) as caught:
        enter(lock)
    assert str(caught.value) == (f"{lock.parent}: process {other.pid} is at work; try again")
    assert caught.value.exit_status == 75


def test_the_lock_of_a_killed_process_is_free(lock, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert enter(lock) == f"process {os.getpid()}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(lock):
    arguments = [sys.executable, "-c", HOLD, lock, "30"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout.readline() == b"held\n"
        assert process.stdout.readline() == b"held\n"  # parent and child
        process.kill()
        process.wait()
        try:
            assert enter(lock) == f"process {os.getpid()}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_lock_is_free_after_its_block_also_when_that_fails(lock):
    with (
        pytest.raises(ZeroDivisionError),
        alone(lock, str),
    ):
        1 / 0  # noqa: B018
    assert enter(lock) == f"process {os.getpid()}"


def test_who_waits_comes_in_when_the_other_has_ended(lock, other):
    began = time.monotonic()
    killing = threading.Timer(0.5, other.kill)
    killing.start()
    with in_turn(lock):
        assert time.monotonic() - began >= 0.5
        assert other.wait(10) == -signal.SIGKILL
    killing.join()


def test_the_holder_on_another_machine_is_named_with_it(lock, other):
    lock.write_bytes(b"\0" + b"17 node-3\n")
    assert read_holder(lock) == "process 17 on node-3"


@pytest.mark.parametrize("text", [b"", b"\0", b"\0seventeen", b"\0\xff\xff 1"])
def test_a_lock_that_names_nobody_is_of_another_process(tmp_path, text):
    (tmp_path / "lock").write_bytes(text)
    assert read_holder(tmp_path / "lock") == "another process"
