"""What the command prints, on terminals and streams that cannot show everything."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version

import pytest
from PIL import Image

from wsikd import __version__

PLAIN = [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}]


def run(*arguments, **environment):
    inherited = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "wsikd", *arguments],
        env=inherited | {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | environment,
        capture_output=True,
        check=False,
    )


def boxes(text):
    return re.findall("[\u2500-\u259f]", text)


@pytest.mark.parametrize("environment", PLAIN)
@pytest.mark.parametrize("words", [["--help"], ["prepare", "--help"], ["segment", "--help"]])
def test_help_has_no_boxes_where_they_are_not_wanted(words, environment):
    shown = run(*words, **environment)
    assert shown.returncode == 0, shown.stderr
    text = shown.stdout.decode()
    assert boxes(text) == []
    assert "--help" in text or "--workspace PATH" in text
    assert text.isascii() or "PYTHONIOENCODING" not in environment


def test_help_has_boxes_elsewhere():
    assert boxes(run("--help").stdout.decode())


@pytest.fixture
def picture(tmp_path):
    """Write a picture that says nothing of its resolution, by a name that ASCII lacks."""
    path = tmp_path / "łódź.png"
    Image.new("RGB", (64, 48), "white").save(path)
    return str(path)


def test_messages_are_spelled_out_where_the_stream_lacks_their_signs(picture):
    shown = run("info", picture, PYTHONIOENCODING="ascii")
    assert shown.returncode == 4
    assert b"no um per pixel" in shown.stderr
    assert rb"\u0142\xf3d\u017a.png: " in shown.stderr
    assert "no µm per pixel" in run("info", picture).stderr.decode()


def test_what_machines_read_is_the_same_in_every_encoding(picture):
    plain, full = (
        run("info", picture, "--json", PYTHONIOENCODING=name).stdout for name in ("ascii", "utf-8")
    )
    assert json.loads(plain) == json.loads(full)
    assert json.loads(plain)["slide"] == "łódź.png"


def test_the_version_names_the_libraries_that_decide_pixels_and_weights():
    rows = [line.split(maxsplit=1) for line in run("--version").stdout.decode().splitlines()]
    assert rows == [
        ["wsikd", __version__],
        ["python", f"{'.'.join(map(str, sys.version_info[:3]))} on {sys.platform}"],
        *(
            [name, version(name)]
            for name in ("torch", "zarr", "openslide-bin", "openslide-python", "tiffslide")
        ),
    ]


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_slow(option):
    script = f"""
import sys
from wsikd.cli import main
main([{option!r}])
slow = {{"dask", "matplotlib", "numpy", "openslide", "pandas", "tiffslide", "torch", "zarr"}}
sys.exit(" ".join(slow & sys.modules.keys()))
"""
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert made.stderr == b"\n"
