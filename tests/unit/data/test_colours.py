import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import wsikd
from wsikd.data import colours
from wsikd.data.colours import ColourSums, sum_colours
from wsikd.data.regions import RegionItem
from wsikd.data.statistics import channel_statistics
from wsikd.errors import StoreError
from wsikd.store import RegionStore

REGIONS = {"a": 2, "b": 1, "c": 1}  # of each slide


def items_of(*slide_ids):
    return [
        RegionItem(slide_id, "p", f"region-{index:03d}", "train", "")
        for slide_id in slide_ids
        for index in range(REGIONS[slide_id])
    ]


def sums_by_hand(images, slide_ids, level):
    pixels = [image[level].reshape(-1, 3) for name in slide_ids for image in images[name]]
    values = np.concatenate(pixels).astype(int)
    return ColourSums(len(values), *values.sum(0).tolist(), *(values**2).sum(0).tolist())


@pytest.fixture
def reads(monkeypatch):
    """List the regions that are read."""
    seen, read = [], RegionStore.read_strips

    def note(self, slide_id, region_id, *how):
        seen.append(f"{slide_id}/{region_id}")
        return read(self, slide_id, region_id, *how)

    monkeypatch.setattr(RegionStore, "read_strips", note)
    return seen


@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3))))
def test_sums_are_those_of_whole_numbers(pixels):
    values = pixels.reshape(-1, 3).astype(int)
    assert ColourSums.of(pixels) == ColourSums(
        len(values), *values.sum(0).tolist(), *(values**2).sum(0).tolist()
    )


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("rows", [1, 5, 1024])
def test_every_pixel_counts_once_whatever_the_threads_and_strips(
    store, images, monkeypatch, threads, rows
):
    monkeypatch.setattr(colours, "_MOST_THREADS", threads)
    monkeypatch.setattr(colours, "_ROWS", rows)
    monkeypatch.setattr(colours.os, "cpu_count", lambda: threads)
    found = sum_colours(store, items_of("a", "b", "c"), 10.0)
    assert found == sums_by_hand(images, "abc", 0)


def test_what_is_known_is_not_read_again_by_another_process(store, tmp_path, reads):
    first = sum_colours(store, items_of("a", "b"), 10.0, tmp_path)
    assert sorted(reads) == ["a/region-000", "a/region-001", "b/region-000"]
    reads.clear()
    assert sum_colours(RegionStore(store.path), items_of("b", "a"), 10.0, tmp_path) == first
    assert reads == []


def test_another_split_reads_only_what_is_new_in_it(store, images, tmp_path, reads):
    sum_colours(store, items_of("a", "b"), 10.0, tmp_path)
    reads.clear()
    found = sum_colours(store, items_of("b", "c"), 10.0, tmp_path)
    assert reads == ["c/region-000"]
    assert found == sums_by_hand(images, "bc", 0)


def test_magnifications_and_parts_of_a_slide_are_kept_apart(store, images, tmp_path):
    sum_colours(store, items_of("a"), 10.0, tmp_path)
    assert sum_colours(store, items_of("a"), 2.5, tmp_path) == sums_by_hand(images, "a", 1)
    part = sum_colours(store, items_of("a")[1:], 10.0, tmp_path)
    assert part == ColourSums.of(images["a"][1][0])
    assert sorted(path.name for path in (tmp_path / "colours").glob("*.json")) == [
        "10x.json",
        "2.5x.json",
    ]


@pytest.mark.parametrize("changed", ["pixels", "settings"])
def test_a_slide_that_was_prepared_anew_is_read_again(store, tmp_path, reads, changed):
    copied = shutil.copytree(store.path, tmp_path / "regions")
    sum_colours(RegionStore(copied), items_of("a"), 10.0, tmp_path)
    reads.clear()
    path = copied / "a" / "slide.json"
    record = json.loads(path.read_text())
    record[changed] = {"pixels": "1a2b3c4d:77ab", "settings": {"seen": "otherwise"}}[changed]
    path.write_text(json.dumps(record))
    sum_colours(RegionStore(copied), items_of("a"), 10.0, tmp_path)
    assert len(reads) == 2


def damage(path, how):
    text = path.read_text()
    document = json.loads(text)
    (key,) = document["slides"]
    if how == "cut short":
        path.write_text(text[: len(text) // 2])
    elif how == "another number":
        document["slides"][key][1] += 1
        path.write_text(json.dumps(document))
    elif how == "of a later version":
        path.write_text(json.dumps(document | {"version": 2}))
    else:
        path.write_bytes({"empty": b"", "a list": b"[]", "no text": b"\xff\xfe\x00"}[how])


@pytest.mark.parametrize(
    "how", ["cut short", "another number", "of a later version", "empty", "a list", "no text"]
)
def test_a_damaged_file_is_made_anew_in_silence(store, images, tmp_path, capfd, how):
    path = tmp_path / "colours" / "10x.json"
    sum_colours(store, items_of("b"), 10.0, tmp_path)
    whole = path.read_bytes()
    damage(path, how)
    assert sum_colours(store, items_of("b"), 10.0, tmp_path) == sums_by_hand(images, "b", 0)
    assert path.read_bytes() == whole
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_written_costs_the_time_alone(store, images, tmp_path):
    (tmp_path / "colours").write_text("a file, where a folder should be")
    assert sum_colours(store, items_of("b"), 10.0, tmp_path) == sums_by_hand(images, "b", 0)


def test_what_was_read_before_a_damaged_region_is_kept(store, tmp_path, reads, monkeypatch):
    monkeypatch.setattr(colours, "_MOST_THREADS", 1)
    copied = shutil.copytree(store.path, tmp_path / "regions")
    shutil.rmtree(copied / "c" / "region-000.ome.zarr" / "0")
    with pytest.raises(StoreError, match="damaged"):
        sum_colours(RegionStore(copied), items_of("a", "b", "c"), 10.0, tmp_path)
    reads.clear()
    sum_colours(store, items_of("a", "b"), 10.0, tmp_path)
    assert reads == []


def test_it_tells_how_many_pixels_were_read_of_how_many(store, images, tmp_path):
    told = []
    sum_colours(store, items_of("a", "b"), 10.0, tmp_path, lambda *read: told.append(read))
    in_all = sums_by_hand(images, "ab", 0).count
    assert {there_is for _, there_is in told} == {in_all}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (in_all, in_all)
    told.clear()
    sum_colours(store, items_of("a", "b"), 10.0, tmp_path, lambda *read: told.append(read))
    assert told == []


SCRIPT = """
import sys
from pathlib import Path
from wsikd.data.colours import sum_colours
from wsikd.data.regions import RegionItem
from wsikd.store import RegionStore

store, cache, names = RegionStore(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]
for name in names:
    sum_colours(store, [RegionItem(name, "p", "region-000", "train", "")], 10.0, cache)
"""


def test_processes_at_once_lose_nothing_of_each_other(store, tmp_path, reads):
    orders = (["a", "b", "c"], ["c", "b", "a"], ["b", "c", "aux"])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(store.path), str(tmp_path), *names],
            cwd=Path(wsikd.__file__).parents[1],
        )
        for names in orders
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    for name in ("a", "b", "c", "aux"):
        sum_colours(store, [RegionItem(name, "p", "region-000", "train", "")], 10.0, tmp_path)
    assert reads == []


def test_statistics_are_the_same_from_the_cache(store, tmp_path):
    items = items_of("a", "c")
    read = channel_statistics(store, items, 2.5)
    assert channel_statistics(store, items, 2.5, tmp_path) == read
    assert channel_statistics(store, items, 2.5, tmp_path) == read
