"""Which of several processes that fail speaks, and with what status the others end."""

import signal
import time

import pytest
import torch.distributed

from wsikd.errors import BusyError, ConfigError, LeakageError, PeerError, StoppedError, ToldError
from wsikd.training import ending
from wsikd.training.ending import one_voice


@pytest.fixture(autouse=True)
def _term_restored():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def store():
    return torch.distributed.HashStore()


def fail(store, error):
    """Return what a process raises in the end that ran into an error."""
    with pytest.raises((type(error), ToldError)) as caught, one_voice(store):
        raise error
    return caught.value


def test_of_several_with_the_same_error_one_raises_it_and_the_others_end_with_its_status(store):
    error = LeakageError("seen")
    assert fail(store, error) is error
    for _ in range(2):
        told = fail(store, LeakageError("seen"))
        assert (type(told), told.exit_status) == (ToldError, 5)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("no"), 2),
        (BusyError("held"), 75),
        (StoppedError("saved", signal.SIGTERM), 143),
        (KeyboardInterrupt(), 130),
        (FileNotFoundError(2, "no such file", "a.csv"), 4),
        (MemoryError(), 4),
        (ZeroDivisionError(), 1),
    ],
)
def test_one_that_the_others_fail_with_ends_with_the_status_of_the_first(store, error, status):
    assert fail(store, error) is error
    assert fail(store, PeerError("gone")).exit_status == status
    # SIGTERM of the launcher came before it was ignored
    assert fail(store, StoppedError("stopped", signal.SIGTERM)).exit_status == status


def test_one_whose_peer_was_killed_says_so_after_some_patience(store, monkeypatch):
    monkeypatch.setattr(ending, "_PATIENCE_S", 0.2)
    error, began = PeerError("another process has ended"), time.monotonic()
    assert fail(store, error) is error
    assert 0.2 <= time.monotonic() - began < 2


def test_a_store_that_has_gone_with_the_first_process_leaves_the_others_silent():
    class Gone:
        def check(self, *args):
            raise RuntimeError("Connection reset by peer")

        add = set = get = check

    assert fail(Gone(), LeakageError("seen")).exit_status == 5


def test_what_fails_ignores_the_term_that_a_launcher_sends_then(store):
    fail(store, ConfigError("no"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_what_does_not_fail_is_as_it_was(store):
    before = signal.getsignal(signal.SIGTERM)
    with one_voice(store):
        pass
    assert signal.getsignal(signal.SIGTERM) == before
    assert not store.check(["status"])
