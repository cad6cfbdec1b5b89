import hashlib

import pytest

from wsikd.store import CHECKSUMS, find_changes

SHARD = "region-000.ome.zarr/0/c/0/0/0"


@pytest.fixture
def folder(tmp_path, write):
    write(tmp_path)
    return tmp_path / "s1"


def flip(path, at=100):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_every_file_of_a_slide_has_the_checksum_that_sha256sum_would_write(folder):
    lines = (folder / CHECKSUMS).read_text().splitlines()
    files = {path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS}
    assert lines == [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}"
        for name in sorted(path.relative_to(folder).as_posix() for path in files)
    ]
    assert {"slide.json", "thumbnail.png", SHARD} <= {line.split("  ")[1] for line in lines}


def test_what_is_as_it_was_written_has_no_changes(folder):
    assert find_changes(folder) == []


@pytest.mark.parametrize("name", [SHARD, "slide.json", "thumbnail.png"])
def test_a_byte_that_flipped_is_found(folder, name):
    flip(folder / name, at=30)
    assert find_changes(folder) == [f"{name} is not as it was written"]


def test_a_shard_cut_short_and_one_that_is_gone_are_found(folder):
    (folder / SHARD).write_bytes((folder / SHARD).read_bytes()[:-1])
    (folder / SHARD.replace("/0/c", "/1/c")).unlink()
    assert find_changes(folder) == [
        f"{SHARD} is not as it was written",
        f"{SHARD.replace('/0/c', '/1/c')} is missing",
    ]


def test_what_is_no_file_any_more_cannot_be_read(folder):
    (folder / "thumbnail.png").unlink()
    (folder / "thumbnail.png").mkdir()
    assert find_changes(folder) == ["thumbnail.png cannot be read (Is a directory)"]


@pytest.mark.parametrize("text", [b"", b"\xff\xfe\n", b"abc  slide.json\n"])
def test_checksums_that_are_damaged_say_so(folder, text):
    (folder / CHECKSUMS).write_bytes(text)
    assert find_changes(folder) == [f"{CHECKSUMS} is damaged itself"]


def test_an_older_version_wrote_none(folder):
    (folder / CHECKSUMS).unlink()
    assert find_changes(folder) is None
