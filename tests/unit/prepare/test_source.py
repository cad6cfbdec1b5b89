import hashlib
import os
import shutil
import sys
import threading

import pytest

from wsikd.prepare import SlideTask, prepare_slide, source, stamps
from wsikd.prepare.source import WholeHash, list_files
from wsikd.store import read_record

PADDING = 3 * 2**20  # more than the ends that are looked at quickly
OPENED = []  # paths, of each file that is opened while a list is in it


def _note(event, details):
    if event == "open" and OPENED:
        OPENED[0].append(str(details[0]))


sys.addaudithook(_note)


@pytest.fixture
def opened():
    """List the files that are opened during the test."""
    OPENED.append([])
    yield OPENED[0]
    OPENED.clear()


@pytest.fixture
def task(tmp_path, slide):
    """Return a copy of the slide with some MiB after its end, which no reader looks at."""
    path = tmp_path / "slides" / "s1.svs"
    path.parent.mkdir()
    path.write_bytes(slide.read_bytes() + bytes(PADDING))
    return SlideTask("s1", path, mpp=None, objective_power=None)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "regions").mkdir()
    return tmp_path / "regions"


@pytest.fixture
def settled(monkeypatch):
    """Take files for settled that were written just now."""
    monkeypatch.setattr(stamps, "_SETTLED_S", -3600.0)


def change_the_middle(path, *, keep_times=False):
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size - PADDING // 2)
        file.write(b"\1")
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def as_by_an_older_version(store):
    """Take from a slide what older versions did not write."""
    folder = store / "s1"
    text = (folder / "slide.json").read_text()
    whole = read_record(folder).source.whole
    (folder / "slide.json").write_text(text.replace(f',\n  "whole": "{whole}"', ""))
    assert read_record(folder).source.whole is None
    (folder / "checksums.sha256").unlink()
    shutil.rmtree(store / ".stamps")


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_slide_that_changed_in_its_middle_is_refused(task, store, settings, settled, keep_times):
    assert prepare_slide(task, store, settings).known_by == "content"
    assert prepare_slide(task, store, settings).status == "skipped"
    change_the_middle(task.path, keep_times=keep_times)
    status = prepare_slide(task, store, settings)
    assert (status.status, status.error) == (
        "failed",
        f"{store / 's1'}: the slide s1.svs changed since; redo it with --overwrite",
    )


def test_the_record_has_the_sha256_of_a_slide_of_one_file(task, store, settings):
    prepare_slide(task, store, settings)
    assert read_record(store / "s1").source.whole == (
        hashlib.sha256(task.path.read_bytes()).hexdigest()
    )


def test_a_slide_that_was_copied_with_new_times_is_as_it_was(task, store, settings, settled):
    prepare_slide(task, store, settings)
    data = task.path.read_bytes()
    task.path.unlink()
    task.path.write_bytes(data)
    assert prepare_slide(task, store, settings).status == "skipped"


def test_neither_slide_nor_regions_are_read_again_if_nothing_was_written_to_them(
    task, store, settings, settled, opened
):
    prepare_slide(task, store, settings)
    inside = (str(task.path), str(store / "s1" / "region-000.ome.zarr"))
    assert any(path.startswith(inside) for path in opened)
    opened.clear()
    assert prepare_slide(task, store, settings).status == "skipped"
    assert not [path for path in opened if path.startswith(inside)]


def test_files_of_this_moment_are_read_again(task, store, settings, opened, monkeypatch):
    monkeypatch.setattr(stamps, "_SETTLED_S", 3600.0)  # as long as the test may take
    prepare_slide(task, store, settings)
    opened.clear()
    prepare_slide(task, store, settings)
    assert str(task.path) in opened


def test_a_slide_of_an_older_version_is_known_by_ends_and_then_by_times(
    task, store, settings, settled
):
    prepare_slide(task, store, settings)
    as_by_an_older_version(store)
    first, second = (prepare_slide(task, store, settings) for _ in range(2))
    assert (first.status, first.known_by) == ("skipped", "ends")
    assert (second.status, second.known_by) == ("skipped", "times")
    change_the_middle(task.path)
    assert prepare_slide(task, store, settings).error == (
        f"{store / 's1'}: the slide s1.svs may have changed since, as its files were written to "
        "and their content was not hashed; redo it with --overwrite"
    )


def test_a_slide_that_is_still_being_copied_is_not_stored(task, store, settings, monkeypatch):
    original = source.read_source  # the last that is asked before the slide is stored

    def grow(path, whole=None):
        with path.open("ab") as file:
            file.write(b"more")
        return original(path, whole)

    monkeypatch.setattr("wsikd.prepare.slide.read_source", grow)
    status = prepare_slide(task, store, settings)
    assert status.error == (
        f"{task.path}: was written to while it was prepared; run the same command when it is "
        "copied whole"
    )
    assert not (store / "s1").exists()


def test_a_disk_too_slow_to_read_all_leaves_the_slide_without_the_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_LEAST_PATIENCE_S", 0.05)
    os.mkfifo(tmp_path / "slow")
    writer = os.open(tmp_path / "slow", os.O_RDWR)  # so that reading waits for what is written
    threading.Timer(0.5, os.write, (writer, b"a")).start()
    with WholeHash([tmp_path / "slow"]) as hashing:
        assert hashing.wait_patiently() is None
    os.close(writer)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0data")


def listed(folder, name):
    return [path.relative_to(folder).as_posix() for path in list_files(folder / name)]


def test_a_mirax_slide_is_its_folder_too(tmp_path):
    touch(tmp_path, "a.mrxs", "a/Slidedat.ini", "a/Data0001.dat", "b.mrxs", "b/Data0001.dat")
    assert listed(tmp_path, "a.mrxs") == ["a.mrxs", "a/Data0001.dat", "a/Slidedat.ini"]


def test_an_olympus_slide_is_its_folder_too(tmp_path):
    touch(tmp_path, "a.vsi", "_a_/stack1/frame_t.ets", "_b_/stack1/frame_t.ets")
    assert listed(tmp_path, "a.vsi") == ["a.vsi", "_a_/stack1/frame_t.ets"]


def test_a_hamamatsu_index_is_the_files_that_it_names_too(tmp_path):
    touch(tmp_path, "a.jpg", "a(1,0).jpg", "a.opt", "other.jpg")
    text = "[Virtual Microscope Specimen]\nImageFile=a.jpg\nImageFile(1,0)=a(1,0).jpg\n"
    (tmp_path / "a.vms").write_text(f"{text}OptimisationFile=a.opt\nMapFile=gone.jpg\nX=..\n")
    assert listed(tmp_path, "a.vms") == ["a.vms", "a(1,0).jpg", "a.jpg", "a.opt"]


def test_a_dicom_file_is_its_series_in_its_folder(tmp_path):
    for name, series in (("1.dcm", b"1.2.3\0"), ("2.dcm", b"1.2.3\0"), ("3.dcm", b"1.2.4\0")):
        tag = b"\x20\x00\x0e\x00UI" + len(series).to_bytes(2, "little") + series
        (tmp_path / name).write_bytes(bytes(128) + b"DICM" + tag + b"pixels")
    assert listed(tmp_path, "1.dcm") == ["1.dcm", "2.dcm"]


def test_a_folder_is_all_files_below_it(tmp_path):
    touch(tmp_path, "s.zarr/zarr.json", "s.zarr/0/c/0")
    assert listed(tmp_path, "s.zarr") == ["s.zarr/0/c/0", "s.zarr/zarr.json"]


@pytest.mark.parametrize("name", ["a/Data0001.dat", "a.mrxs"])
def test_the_hash_of_several_files_changes_with_any_of_them(tmp_path, name):
    touch(tmp_path, "a.mrxs", "a/Data0001.dat", "a/Slidedat.ini")
    found = []
    for _ in range(2):
        with WholeHash(list_files(tmp_path / "a.mrxs")) as hashing:
            found.append(hashing.wait())
        (tmp_path / name).write_bytes(b"\0date")
    assert found[0] != found[1]
