import json
import subprocess
import sys
import tomllib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from wsikd.cli import main
from wsikd.doctor.codecs import look_at_codecs
from wsikd.doctor.machine import look_at_workspace
from wsikd.doctor.packages import NEEDED_FOR, READERS, judge_packages, judge_version

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def states(findings):
    return {finding.what: finding.state for finding in findings}


@pytest.mark.parametrize(
    ("name", "found", "least", "state", "told"),
    [
        ("zarr", "3.1.3", "3.1.3", "ok", "3.1.3"),
        ("zarr", "3.10.0", "3.9", "ok", "3.10.0"),
        ("openslide-bin", "4.0.0.13", "4.0.1.2", "wrong", "4.0.0.13, must be at least 4.0.1.2"),
        ("torch", "2.8.0+cu128", "2.9", "wrong", "2.8.0+cu128, must be at least 2.9"),
        ("torch", "2.11.0", "2.9", "note", "2.11.0, has no Lanczos kernel for bytes"),
        ("torch", "2.13.0+cpu", "2.9", "ok", "2.13.0+cpu"),
        ("jinja2", None, "3.1", "note", "not installed: report will not run"),
        ("tiffslide", None, "3.0", "note", "not installed: slides that need it will not open"),
        ("numpy", None, "2", "wrong", "not installed: nothing runs without it"),
    ],
)
def test_a_version_is_judged_by_the_least_that_is_asked_for(name, found, least, state, told):
    finding = judge_version(name, found, least)
    assert finding.state == state
    assert finding.found.startswith(told)
    assert bool(finding.remedy) == (state != "ok")


def test_what_wsikd_asks_for_is_installed_here_and_extras_are_passed_over():
    asked = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    judged = states(judge_packages([*asked, 'ruff>=999; extra == "lint"']))
    assert set(judged.values()) == {"ok"}
    assert len(judged) == len(asked)
    assert {*NEEDED_FOR, *READERS} < judged.keys()


def test_all_is_well_here_and_the_workspace_stays_as_it_was(tmp_path, capsys):
    assert main(["doctor", "--json", "--workspace", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    told = {each["what"]: each for each in found}
    assert {"python", "OpenSlide", "codecs", "GPU", "memory", "disk", "locks"} <= told.keys()
    assert told["self-test"]["state"] == "ok"
    assert "at most 1 of 255 from Pillow's" in told["self-test"]["found"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
def test_what_is_wrong_is_one_line_with_a_remedy_and_exits_1(capsys):
    assert main(["doctor", "--workspace", "/proc/wsikd"]) == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("wrong")]
    assert wrong == [
        (
            "wrong  disk              0.0 GiB free for /proc/wsikd; make room, or choose another "
            "--workspace"
        ),
        (
            "wrong  locks             /proc: no such file or directory; choose a --workspace that "
            "can be written"
        ),
    ]


@pytest.mark.parametrize("missing", ["torch", "openslide", "zarr"])
def test_runs_where_a_library_of_another_third_is_missing(tmp_path, missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from wsikd.cli import main;"
        "sys.exit(main(['doctor', '--json', '--workspace', sys.argv[1]]))"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    told = {each["what"]: each for each in json.loads(made.stdout)}
    noted = told["OpenSlide" if missing == "openslide" else "self-test"]
    assert noted["state"] == "note"
    assert missing in noted["found"]


def test_a_codec_that_reads_other_pixels_is_named(monkeypatch):
    monkeypatch.setattr(imagecodecs, "webp_decode", lambda _: np.zeros((64, 64, 3), np.uint8))
    finding = look_at_codecs()
    assert finding.state == "wrong"
    assert finding.found == "WebP cannot be read; slides compressed so will fail"


def test_a_low_limit_of_open_files_is_a_note():
    code = "from wsikd.doctor.machine import look_at_files; print(*look_at_files())"
    shell = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", sys.executable, "-c", code]
    made = subprocess.run(shell, capture_output=True, text=True, check=True)
    if made.stdout.strip():  # Linux alone tells
        assert made.stdout == (
            "note   open files        at most 200, few for many workers or fields; ulimit -n 4096\n"
        )


def test_a_workspace_that_is_not_made_yet_is_judged_by_where_it_will_be(tmp_path):
    assert states(look_at_workspace(tmp_path / "a" / "b"))["locks"] == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "inside/it"])
def test_a_file_in_place_of_the_workspace_is_wrong(tmp_path, capsys, below):
    (tmp_path / "notes.txt").write_text("")
    place = tmp_path / "notes.txt" / below
    assert main(["doctor", "--json", "--workspace", str(place)]) == 1
    told = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert told["workspace"] == {
        "what": "workspace",
        "state": "wrong",
        "found": f"{tmp_path / 'notes.txt'} is a file",
        "remedy": "choose a folder as --workspace",
    }
