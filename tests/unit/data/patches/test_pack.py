from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wsikd.data.patches.pack import pack_view
from wsikd.geometry import Size
from wsikd.hashing import file_fingerprint

SIZE = Size(5, 4)


def noise(index):
    return np.random.default_rng(index).integers(0, 256, (4, 5, 3), np.uint8)


def pack(cache, read=noise, fingerprint="f" * 64, count=7):
    return pack_view("patches", fingerprint, read, count, SIZE, cache)


def never(index):
    raise AssertionError(f"{index} was read again")


def test_gives_all_images_in_order(tmp_path):
    packed = pack(tmp_path / "cache")
    np.testing.assert_array_equal(packed, [noise(index) for index in range(7)])
    assert packed.dtype == np.uint8


def test_maps_the_file_read_only(tmp_path):
    packed = pack(tmp_path)
    assert isinstance(packed, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        packed[0] = 0


def test_reads_each_image_once_however_many_ask(tmp_path):
    reads = []

    def read(index):
        reads.append(index)
        return noise(index)

    with ThreadPoolExecutor(4) as pool:
        packed = list(pool.map(lambda _: pack(tmp_path, read), range(4)))
    assert sorted(reads) == list(range(7))
    assert all((one == packed[0]).all() for one in packed)


def test_takes_what_is_there(tmp_path):
    pack(tmp_path)
    np.testing.assert_array_equal(pack(tmp_path, never)[3], noise(3))


def test_other_images_have_a_file_of_their_own(tmp_path):
    pack(tmp_path)
    other = pack(tmp_path, lambda index: noise(index + 1), fingerprint="e" * 64)
    np.testing.assert_array_equal(other[0], noise(1))
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_leaves_nothing_half_done(tmp_path):
    def fail(index):
        if index == 3:
            raise OSError("the disk is gone")
        return noise(index)

    with pytest.raises(OSError, match="the disk is gone"):
        pack(tmp_path, fail)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    np.testing.assert_array_equal(pack(tmp_path)[6], noise(6))


def test_says_how_far_it_is_when_it_takes_long(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("wsikd.data.patches.pack._SILENT_S", -1.0)
    pack(tmp_path, count=2)
    assert "2 of 2 patches decoded" in capsys.readouterr().err


def test_a_file_is_known_by_its_size_and_its_ends(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"a" * 10_000 + b"b")
    found = set()
    for content in (b"a" * 10_001, b"b" + b"a" * 10_000, b"a" * 9_999 + b"b"):
        second.write_bytes(content)
        found.add(file_fingerprint(second))
    assert len(found | {file_fingerprint(first)}) == 4
