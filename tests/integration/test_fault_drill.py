"""The fault drill: what goes wrong with a batch, and the row of `status.csv` that tells it.

WSIKD_KILLS sets how many batches are killed. Beside it: slides that are bad in themselves are in
test_prepare.py, with a worker that dies, and several processes at once in
test_prepare_processes.py.
"""

import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from wsikd.cli import main
from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.slides import READERS
from wsikd.slides.tiffslide import TiffSlideReader
from wsikd.store import RegionStore

DRAWN = DrawSettings(mpp=2.0, pieces=1, piece_mm=(0.4, 0.5))
NOBODY = 65534
KILLS = int(os.environ.get("WSIKD_KILLS", "12"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return a folder of three tiny slides, a, b and c."""
    folder = tmp_path_factory.mktemp("drill") / "slides"
    folder.mkdir()
    for index, name in enumerate("abc"):
        draw_slide(folder / f"{name}.svs", "normal", DRAWN, index=index)
    return folder


def prepare(slides, workspace, *options):
    words = ["prepare", str(slides), "--workers", "0", *options, "--workspace", str(workspace)]
    return main(words)


def rows(workspace):
    table = pd.read_csv(workspace / "regions" / "status.csv", keep_default_na=False)
    return table.set_index("slide_id")


def content(workspace):
    """Return all files of all slides: names to bytes."""
    store = workspace / "regions"
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in store.glob("[!.]*/**/*")
        if path.is_file()
    }


# All is imported once; each attempt is a process of its own, forked from there.
KILLER = """
import json, os, random, signal, sys, time
import imagecodecs, openslide, pandas, tifffile, tiffslide, torch, zarr
import wsikd.cli.prepare, wsikd.cohort.manifest, wsikd.slides.tiffslide, wsikd.study
from wsikd.cli import main

slides, folder, kills = sys.argv[1:]

def begin(name):
    pid = os.fork()
    if pid == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1), os.dup2(nowhere, 2)
        options = ["--workers", "0", "--workspace", os.path.join(folder, name)]
        os._exit(main(["prepare", slides, *options]))
    return pid

def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

assert end(begin("whole")) == 0
began = time.monotonic()
assert end(begin("timed")) == 0
usual = time.monotonic() - began
drawn, ends = random.Random(0), []
for index in range(int(kills)):
    pid = begin(f"killed-{index}")
    time.sleep(drawn.uniform(0.02, 1) * usual)
    os.kill(pid, signal.SIGKILL)
    ends.append((end(pid), end(begin(f"killed-{index}"))))
print(json.dumps(ends))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_batch_that_is_killed_at_any_moment_is_completed_to_the_same_bytes(drawn, tmp_path):
    (tmp_path / "slides").mkdir()
    for name in ("a.svs", "b.svs"):
        shutil.copy(drawn / name, tmp_path / "slides")
    made = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path / "slides"), str(tmp_path), str(KILLS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    ends = json.loads(made.stdout)
    # the others were ready
    assert sum(killed == -signal.SIGKILL for killed, _ in ends) >= KILLS / 2
    assert {again for _, again in ends} == {0}
    whole = content(tmp_path / "whole")
    for index in range(KILLS):
        workspace = tmp_path / f"killed-{index}"
        assert content(workspace) == whole
        assert set(rows(workspace)["status"]) <= {"done", "skipped"}
        assert len(rows(workspace)) == 2
        assert not list((workspace / "regions").glob(".*.partial"))


@pytest.fixture
def small_disk(tmp_path):
    """Return a disk of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_ends_the_batch_with_its_path_and_the_same_command_goes_on(
    drawn, small_disk, capsys
):
    workspace = small_disk / "cohort"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1984 * 1024))
    told = f"{workspace / 'regions'}: no space left on device; make room and run the same command"
    assert prepare(drawn, workspace) == 4
    assert capsys.readouterr().err.splitlines()[-1] == f"wsikd: {told} to go on"
    found = rows(workspace)
    assert found["status"].to_dict() == {"a": "failed"}  # no further slide was tried
    assert found.loc["a", "error"] == f"{told} to go on"
    ballast.unlink()
    assert prepare(drawn, workspace) == 0
    assert rows(workspace)["status"].to_dict() == dict.fromkeys("abc", "done")


def test_a_disk_that_became_read_only_ends_the_batch_with_its_path(drawn, small_disk, capsys):
    (small_disk / "slides").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert prepare(drawn, small_disk / "cohort") == 4
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith(": read-only file system; choose a folder that can be written")
    )


def test_a_limit_on_the_size_of_files_ends_the_batch_as_a_full_disk_does(drawn, tmp_path, capsys):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 * 1024, before[1]))
    try:
        status = prepare(drawn, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 4
    told = f"{tmp_path / 'regions'}: file too large; raise the limit of file sizes (ulimit -f), or"
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"wsikd: {told}")
    assert rows(tmp_path)["status"].to_dict() == {"a": "failed"}


@contextmanager
def without_rights():
    """Be nobody during the block, if root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def everybodys():
    """Return a folder that everybody may use."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_a_folder_that_cannot_be_read_is_the_row_of_its_slide(drawn, everybodys):
    slides = everybodys / "slides"
    shutil.copytree(drawn, slides)
    (slides / "locked").mkdir()
    shutil.move(slides / "b.svs", slides / "locked")
    (everybodys / "all.csv").write_text("path\nslides/a.svs\nslides/locked/b.svs\nslides/c.svs\n")
    (slides / "locked").chmod(0)
    workspace = everybodys / "cohort"
    with without_rights():
        words = ["--manifest", str(everybodys / "all.csv"), "--workspace", str(workspace)]
        assert main(["prepare", *words, "--workers", "0"]) == 3
    found = rows(workspace)
    (slides / "locked").chmod(0o755)
    assert found["status"].to_dict() == {"a": "done", "b": "failed", "c": "done"}
    path = slides / "locked" / "b.svs"
    assert found.loc["b", "error"] == (
        f"{path}: permission denied; allow it with chmod, or choose another folder"
    )


def test_a_slide_that_is_named_as_another_kind_is_read_for_what_it_is(drawn, tmp_path):
    slides = tmp_path / "slides"
    slides.mkdir()
    shutil.copy(drawn / "a.svs", slides / "a.png")
    assert prepare(slides, tmp_path) == 0
    assert rows(tmp_path)["status"].to_dict() == {"a": "done"}


def test_a_damaged_store_is_mended_by_the_same_command(drawn, tmp_path):
    assert prepare(drawn, tmp_path) == 0
    before = content(tmp_path)
    store = tmp_path / "regions"
    cut, flipped = (next((store / name).glob("*.zarr/0/c/0/0/0")) for name in "ab")
    cut.write_bytes(cut.read_bytes()[:-1])
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    assert prepare(drawn, tmp_path) == 0
    found = rows(tmp_path)
    assert found["status"].to_dict() == {"a": "done", "b": "done", "c": "skipped"}
    name = "region-000.ome.zarr/0/c/0/0/0"
    told = f"prepared again, as {name} is not as it was written; "
    assert found.loc["b", "warnings"].startswith(told)
    assert content(tmp_path) == before


def use_reader(monkeypatch, reader):
    """Let a reader of the test read what tiffslide reads."""
    monkeypatch.setattr(sys.modules[__name__], "Faulty", reader, raising=False)
    place = READERS["tiffslide"]._replace(reader=f"{__name__}:Faulty")
    monkeypatch.setitem(READERS, "tiffslide", place)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ZeroDivisionError("by\nzero"), "a bug, ZeroDivisionError: by zero; try another --reader,"),
        (RecursionError("deep"), "a bug, RecursionError: deep; try another --reader, and report"),
        (MemoryError(), "memory ran out; prepare fewer slides at once with --workers with"),
        (AssertionError(), "a bug, AssertionError:; try another --reader, and report it with"),
        (OSError("odd"), "odd; see that it is there and can be used"),
    ],
)
def test_an_exception_of_any_kind_is_the_row_of_its_slide(
    drawn, tmp_path, capsys, monkeypatch, error, told
):
    class Failing(TiffSlideReader):
        def _read(self, region, level):
            if self.path.name == "b.svs":
                raise error
            return super()._read(region, level)

    use_reader(monkeypatch, Failing)
    assert prepare(drawn, tmp_path, "--reader", "tiffslide") == 3
    found = rows(tmp_path)
    assert found["status"].to_dict() == {"a": "done", "b": "failed", "c": "done"}
    assert found.loc["b", "error"].startswith(f"{drawn / 'b.svs'}: {told}")
    assert "Traceback" not in capsys.readouterr().err
    log = tmp_path / "regions" / ".tracebacks" / "b.txt"
    if isinstance(error, OSError):
        assert not log.exists()
    else:
        assert found.loc["b", "error"].endswith(f" with {log}")
        assert f"in _read\n    raise error\n{type(error).__name__}" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_batch_though_the_decoder_takes_it_for_damage(
    drawn, tmp_path, capsys, monkeypatch, number
):
    class Swallowing(TiffSlideReader):
        def _read(self, region, level):
            try:
                os.kill(os.getpid(), number)
                return super()._read(region, level)
            except BaseException as error:
                raise ValueError("cannot be decoded") from error

    use_reader(monkeypatch, Swallowing)
    # as nohup ignores one of them
    handlers = {
        each: signal.signal(each, signal.SIG_DFL) for each in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        assert prepare(drawn, tmp_path, "--reader", "tiffslide") == 128 + number
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert capsys.readouterr().err.splitlines()[-1].endswith("; run the same command to go on")
    assert RegionStore(tmp_path / "regions").slide_ids() == []
    assert len(rows(tmp_path)) == 0


@contextmanager
def refusing(monkeypatch, module, name, number, is_refused):
    """Let the system refuse a call, as file systems without it do."""
    original = getattr(module, name)

    def refuse(*arguments):
        if is_refused(*arguments):
            raise OSError(number, os.strerror(number))
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, refuse)
        yield


def test_a_file_system_without_locks_and_flushing_of_folders_serves(drawn, tmp_path, monkeypatch):
    def is_folder(descriptor):
        return Path(f"/proc/self/fd/{descriptor}").is_dir()

    with (
        refusing(monkeypatch, fcntl, "flock", errno.EOPNOTSUPP, lambda *_: True),
        refusing(monkeypatch, os, "fsync", errno.EINVAL, is_folder),
    ):
        assert prepare(drawn, tmp_path) == 0
    assert rows(tmp_path)["status"].to_dict() == dict.fromkeys("abc", "done")
    assert not list(tmp_path.rglob("*.held"))
