import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
import threading
import time

import pytest

from wsikd.errors import BusyError
from wsikd.locks import alone, has_locks, in_turn, read_holder

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


@pytest.fixture(params=[errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK])
def no_locks(monkeypatch, request):
    """Let the system have no locks, as some file systems."""

    def refuse(*arguments):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def held(lock, pid, host):
    """Leave the stand-in and the name of a process, as it does while it holds the lock."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_bytes(b"\0" + f"{pid} {host}\n".encode())
    lock.with_name("s1.held").write_text(f"{pid}\n{host}\n")


def test_where_there_are_no_locks_a_file_stands_in_for_one(lock, no_locks):
    assert not has_locks(lock)
    with alone(lock, str):
        with pytest.raises(BusyError, match=f"^process {os.getpid()}$"), alone(lock, str):
            pass
        assert lock.with_name("s1.held").exists()
    assert enter(lock) == f"process {os.getpid()}"
    assert not lock.with_name("s1.held").exists()


def test_the_stand_in_of_a_process_that_was_killed_is_taken_over(lock, no_locks):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    held(lock, int(ended.stdout), platform.node())
    with in_turn(lock):
        assert read_holder(lock) == f"process {os.getpid()}"


def test_the_stand_in_of_another_machine_is_named_to_be_removed(lock, no_locks):
    held(lock, 17, "node-3")
    with pytest.raises(BusyError) as caught:
        enter(lock)
    assert str(caught.value) == (
        f"{lock.parent}: process 17 on node-3 is at work; try again, or remove "
        f"{lock}.held if that process has ended"
    )


def test_a_file_system_with_locks_is_told_as_such(lock):
    assert has_locks(lock)
