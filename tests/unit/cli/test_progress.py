import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from wsikd.cli.progress import BatchProgress, Pace
from wsikd.prepare import SlideStatus


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def outcome(status="done", **others):
    return SlideStatus(slide_id="s", path="s.svs", status=status, **others)


def test_the_time_left_is_by_the_bytes_that_are_left(clock):
    pace = Pace([100, 300, 400])
    assert pace.describe() == "3 slides"
    clock[0] += 10
    pace.add(outcome(regions=2, megapixels=50), 100)
    # 100 bytes in 10 s, 700 left; 50 MPix in 10 s
    assert pace.describe() == "1/3 slides, 2 regions, 5 MPix/s, 1 min left"
    clock[0] += 30  # 10 s for 100 bytes: 40 s are left of the 70 s
    assert pace.describe().endswith(", 40 s left")
    pace.add(outcome(regions=1, megapixels=150), 300)
    assert pace.describe() == "2/3 slides, 3 regions, 5 MPix/s, 40 s left"
    pace.add(outcome("failed", regions=7), 400)
    assert pace.describe() == "3/3 slides, 3 regions, 5 MPix/s"


def test_slides_that_were_complete_say_nothing_of_the_others(clock):
    pace = Pace([1000, 10, 20])
    clock[0] += 1
    pace.add(outcome("skipped", regions=4, megapixels=900), 1000)
    assert pace.describe() == "1/3 slides, 4 regions"
    clock[0] += 9
    pace.add(outcome(regions=1, megapixels=10), 10)
    assert pace.describe() == "2/3 slides, 5 regions, 1 MPix/s, 20 s left"


def test_a_time_that_is_over_is_not_below_nothing(clock):
    pace = Pace([1, 1])
    clock[0] += 1
    pace.add(outcome(megapixels=1), 1)
    clock[0] += 60
    assert pace.describe().endswith(", 0 s left")


def test_plain_lines_tell_each_slide_where_there_is_no_terminal(tmp_path, capsys, clock):
    (tmp_path / "a.svs").write_bytes(b"1234")
    with BatchProgress() as progress:
        progress.expect([tmp_path / "a.svs", tmp_path / "gone.svs"])
        clock[0] += 2
        progress(
            SlideStatus(slide_id="a", path=str(tmp_path / "a.svs"), status="done", regions=1,
                        seconds=2.04, megapixels=3, warnings="20x left out")
        )  # fmt: skip
        progress(SlideStatus(slide_id="b", path="gone.svs", status="failed", error="gone; look"))
    assert capsys.readouterr().err == (
        "[1/2] a: done, 1 region, 2.0 s; 1.5 MPix/s, 0 s left\n"
        "    warning: 20x left out\n"
        "[2/2] b: failed, gone; look\n"
    )


def test_a_terminal_has_one_line_that_changes_and_keeps_what_went_wrong(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    if not Console(stderr=True).is_terminal:
        pytest.skip("what stands for the standard error cannot pass for a terminal")
    long = "a reason that is longer than the terminal is wide; and what to do about it"
    with BatchProgress() as progress:
        progress.expect([Path("a.svs"), Path("b.svs"), Path("c.svs")])
        progress(outcome(regions=3, megapixels=1))
        progress(outcome("failed", error=long))
    said = capsys.readouterr().err
    assert "[2/3] s: failed, " + long in said  # in one piece, to be copied
    assert "[1/3]" not in said
    assert "2/3 slides, 3 regions" in said
