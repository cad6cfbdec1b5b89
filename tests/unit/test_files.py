import errno
import json
import os
from pathlib import Path

import pytest

from wsikd.files import is_unwritable, publish, replacing, write_json, write_text


def write_half(path):
    with replacing(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="half way"):
        write_half(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["note.txt"]


def test_a_file_name_that_is_no_utf_8_can_be_written_down(tmp_path):
    value = {"name": "M\udcfcller.svs"}
    write_json(tmp_path / "note.json", value)
    text = (tmp_path / "note.json").read_text(encoding="utf-8")
    assert r"M\udcfcller" in text
    assert json.loads(text) == value


def fail_to_write(path, number, *, named):
    with replacing(path) as temporary:
        raise OSError(number, "refused", *([str(temporary)] if named else []))


@pytest.mark.parametrize(("number", "named"), [(errno.ENOSPC, False), (errno.EACCES, True)])
def test_what_the_system_refuses_is_blamed_on_the_file_asked_for(tmp_path, number, named):
    with pytest.raises(OSError, match="refused") as caught:
        fail_to_write(tmp_path / "note.txt", number, named=named)
    assert caught.value.filename == str(tmp_path / "note.txt")


def test_until_the_end_readers_see_the_old_file(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # renaming across file systems is not atomic
    assert path.read_text() == "new"


def test_missing_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "note.txt", "µm")
    assert (tmp_path / "a" / "b" / "note.txt").read_bytes() == "µm".encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused_and_the_old_file_stays(tmp_path, value):
    path = tmp_path / "numbers.json"
    write_json(path, {"loss": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": value})
    assert path.read_text() == '{\n "loss": 1.5\n}\n'


def test_a_published_folder_takes_the_place_of_what_was_there(tmp_path):
    partial, final = tmp_path / ".a.partial", tmp_path / "a"
    for folder, text in ((partial / "inner", "new"), (final, "old")):
        folder.mkdir(parents=True)
        (folder / f"{text}.txt").write_text(text)
    publish(partial, final)
    files = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.txt"))]
    assert (files, partial.exists()) == (["a/inner/new.txt"], False)


def refuse(number):
    def fsync(descriptor):
        raise OSError(number, os.strerror(number))

    return fsync


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_that_cannot_flush_is_left_to_its_own_ways(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", refuse(number))
    write_text(tmp_path / "note.txt", "whole")
    assert (tmp_path / "note.txt").read_text() == "whole"


def test_a_disk_that_fails_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        write_text(tmp_path / "note.txt", "whole")
    assert not (tmp_path / "note.txt").exists()


@pytest.mark.parametrize(
    ("number", "name", "unwritable"),
    [
        (errno.ENOSPC, None, True),
        (errno.EDQUOT, "/slides/a.svs", True),
        (errno.EROFS, None, True),
        (errno.EACCES, "regions/a/slide.json", True),
        (errno.EACCES, "/slides/a.svs", False),
        (errno.EIO, "regions/a/slide.json", False),
        (errno.EACCES, None, False),
    ],
)
def test_what_stops_every_write_is_told_from_what_stops_one_slide(number, name, unwritable):
    error = OSError(number, os.strerror(number), *([name] if name else []))
    assert is_unwritable(error, Path("regions")) is unwritable
