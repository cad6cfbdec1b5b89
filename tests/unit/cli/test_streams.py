import os
import subprocess
import sys
from pathlib import Path

import pytest

from wsikd.cli import EXIT_STATUS
from wsikd.cli.reference import command_reference

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a file that is full")
each_buffer = pytest.mark.parametrize("buffer", [[], ["-u"]], ids=["buffered", "unbuffered"])


def started(*arguments, buffer=(), **streams):
    """Run the command with streams as given; return its status and what it said."""
    command = [sys.executable, *buffer, "-m", "wsikd", *arguments]
    ended = subprocess.run(command, check=False, text=True, **streams)
    return ended.returncode, ended.stderr


@pytest.fixture
def gone():
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.skipif(os.name == "nt", reason="a pipe of Windows ends otherwise")
@each_buffer
@pytest.mark.parametrize("command", [["--help"], ["--version"], ["split", "--help"]])
def test_a_reader_that_has_gone_ends_the_command_without_a_word(gone, command, buffer):
    ended = started(*command, buffer=buffer, stdout=gone, stderr=subprocess.PIPE)
    assert ended == (141, "")


@pytest.mark.skipif(os.name == "nt", reason="a pipe of Windows ends otherwise")
def test_an_error_that_nobody_reads_ends_so_too(gone, tmp_path):
    assert started("split", stdout=gone, stderr=gone, cwd=tmp_path, env=elsewhere())[0] == 141


def elsewhere():
    """An environment in which the command is found from any folder."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


@needs_full
@each_buffer
@pytest.mark.parametrize("command", [["--help"], ["--version"]])
def test_a_full_disk_under_the_output_is_told_in_one_line(command, buffer):
    with FULL.open("w") as full:
        ended = started(*command, buffer=buffer, stdout=full, stderr=subprocess.PIPE)
    told = "no space left on device; make room and run the same command to go on"
    assert ended == (4, f"wsikd: standard output: {told}\n")


@needs_full
def test_where_the_errors_go_to_a_full_disk_too_the_status_tells():
    with FULL.open("w") as full:
        assert started("--version", stdout=full, stderr=full)[0] == 4


@pytest.mark.skipif(os.name == "nt", reason="there is no such shell on Windows")
def test_an_output_that_the_shell_closed_is_no_trouble():
    shell = ["sh", "-c", '"$0" -m wsikd --help >&-', sys.executable]
    ended = subprocess.run(shell, check=False, text=True, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_help_and_the_page_tell_the_same_of_the_exit_status():
    assert EXIT_STATUS in command_reference()
    assert "what doctor found wrong" in EXIT_STATUS
