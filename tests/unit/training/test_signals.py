import os
import signal
import threading

import pytest

from wsikd.training.signals import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_remembered(number):
    with StopRequest() as request:
        assert request.number is None
        os.kill(os.getpid(), number)
        assert request.number == number


@pytest.fixture
def _heeding():
    """Heed SIGINT, which a script that runs the tests in the background lets them ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeding")
def test_the_second_signal_acts_as_before():
    with pytest.raises(KeyboardInterrupt), StopRequest():  # noqa: PT012  # two signals, one raises
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_nothing_is_caught():
    found = []

    def work():
        with StopRequest() as request:
            found.append(request.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]
