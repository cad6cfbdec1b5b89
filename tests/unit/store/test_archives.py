"""An image in one file: its entries, and what is noticed of damage."""

import zipfile

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from wsikd.store.archives import is_whole, open_archived, write_archive

PIXELS = np.arange(3 * 5 * 4, dtype=np.uint8).reshape(3, 5, 4)
REFUSED = (OSError, ValueError, RuntimeError, KeyError)


@pytest.fixture
def archive(tmp_path):
    write(tmp_path / "a.ozx")
    return tmp_path / "a.ozx"


def write(path):
    entries = {}
    group = zarr.open_group(MemoryStore(entries), mode="w", zarr_format=3)
    for name in ("0", "1"):
        group.create_array(name, shape=PIXELS.shape, dtype=np.uint8, chunks=PIXELS.shape)
        group[name][:] = PIXELS
    write_archive(path, entries)


def test_an_array_comes_back(archive):
    np.testing.assert_array_equal(open_archived(archive, "1")[:], PIXELS)


def test_metadata_come_first_and_nothing_is_compressed_again(archive):
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
    assert [entry.filename for entry in entries] == [
        "zarr.json", "0/zarr.json", "1/zarr.json", "0/c/0/0/0", "1/c/0/0/0"
    ]  # fmt: skip
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


def test_equal_images_are_equal_files(tmp_path, archive):
    write(tmp_path / "b.ozx")
    assert (tmp_path / "b.ozx").read_bytes() == archive.read_bytes()


def test_a_written_archive_is_whole_and_lacks_what_it_was_not_given(archive):
    assert is_whole(archive, ["0", "1"])
    assert not is_whole(archive, ["0", "1", "2"])
    assert not is_whole(archive.with_name("b.ozx"), [])


def test_each_flipped_byte_is_refused_or_changes_no_pixel(archive):
    data = archive.read_bytes()
    harmless = 0
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x11
        archive.write_bytes(damaged)
        try:
            pixels = open_archived(archive, "0")[:]
        except REFUSED:
            assert not is_whole(archive, ["0", "1"])
        else:
            np.testing.assert_array_equal(pixels, PIXELS)
            harmless += 1
    # of the entries of the other array and of the group, and dates and rights that nobody reads
    assert 0 < harmless < len(data)


def test_an_archive_cut_short_anywhere_is_refused(archive):
    data = archive.read_bytes()
    for kept in range(len(data)):
        archive.write_bytes(data[:kept])
        assert not is_whole(archive, ["0", "1"])
        with pytest.raises(REFUSED):
            open_archived(archive, "0")


def test_an_entry_that_was_compressed_again_is_refused(tmp_path, archive):
    packed = tmp_path / "b.ozx"
    with (
        zipfile.ZipFile(archive) as opened,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for name in opened.namelist():
            other.writestr(name, opened.read(name))
    with pytest.raises(ValueError, match=r"0/zarr\.json is compressed"):
        open_archived(packed, "0")
