import errno
import multiprocessing.synchronize
import os
import signal
import socket

import pytest

from wsikd.errors import ConfigError
from wsikd.prepare.cluster import start_workers
from wsikd.prepare.stopping import Stopping, put_off


def refusing(number):
    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    return refuse


def refusal():
    with pytest.raises(ConfigError) as caught, start_workers(1):
        pass
    return str(caught.value)


def test_a_machine_that_cannot_connect_to_itself_is_told_to_use_no_workers(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", refusing(errno.ENETUNREACH))
    assert refusal() == (
        "--workers: cannot start processes (127.0.0.1, by which they are told of slides, is not "
        "reached, network is unreachable); allow this machine to connect to itself, or use "
        "--workers 0"
    )


def test_a_machine_that_never_answers_itself_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", refusing(errno.ETIMEDOUT))
    assert "is not reached, connection timed out" in refusal()


def test_a_container_without_shared_memory_is_told_how_to_get_some(monkeypatch):
    monkeypatch.setattr(
        multiprocessing.synchronize.SemLock, "_make_name", staticmethod(lambda: "/no/such")
    )
    assert refusal().startswith("--workers: cannot start processes (no shared memory in /dev/shm, ")
    assert refusal().endswith("more with --shm-size 1g, or use --workers 0")


class Heard(Exception):
    pass


@pytest.fixture
def handled():
    """Have SIGTERM raise."""

    def hear(number, frame):
        raise Heard

    before = signal.signal(signal.SIGTERM, hear)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_signal_that_was_swallowed_is_raised_when_it_is_asked_for(handled):
    with Stopping() as stopping:
        stopping.check()
        with pytest.raises(Heard):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Heard):
            stopping.check()


def test_a_signal_that_was_put_off_is_raised_at_the_end(handled):
    passed = []

    def work():
        with put_off():
            os.kill(os.getpid(), signal.SIGTERM)
            passed.append("through")

    with pytest.raises(Heard):
        work()
    assert passed == ["through"]


def test_processes_that_are_begun_while_signals_are_put_off_do_not_hear_ctrl_c():
    with put_off():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
