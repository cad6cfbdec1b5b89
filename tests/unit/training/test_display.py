import pytest

from wsikd.training import display
from wsikd.training.display import telling_if_long


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that tests can turn, in seconds."""
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def test_work_that_is_over_in_a_moment_is_not_shown(clock, capsys):
    with telling_if_long("colours", "reads 4 regions") as tell:
        for done in (1, 2, 3):
            clock[0] += 0.5
            tell(done, 4)
        clock[0] += 30
        tell(4, 4)
    assert capsys.readouterr().err == ""


def test_work_that_is_not_is_shown_once_with_the_time_that_it_takes_yet(clock, capsys):
    with telling_if_long("colours", "reads 1,000 regions") as tell:
        for done in (1, 2, 3, 500):
            clock[0] += 1.5
            tell(done, 1000)
    # known after 3 s, when 2 were done: 998 at 1.5 s each
    assert capsys.readouterr().err == "colours: reads 1,000 regions, about 1497 s\n"
