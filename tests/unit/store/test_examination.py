import json

import pytest

from wsikd.store import CHECKSUMS
from wsikd.store.checksums import write_checksums
from wsikd.store.examination import examine_slide

IMAGE = "region-000.ome.zarr"
SHARD = f"{IMAGE}/0/c/0/0/0"


@pytest.fixture(params=["0.5", "0.4"])
def folder(tmp_path, write, request):
    write(tmp_path, ngff=request.param)
    return tmp_path / "s1"


@pytest.fixture
def sharded(tmp_path, write):
    write(tmp_path)
    return tmp_path / "s1"


def told(folder):
    return [(finding.state, finding.found) for finding in examine_slide(folder)]


def flip(path, at=100):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def edit(path, change):
    """Change a JSON file as a program would that knows of the checksums, too."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_nothing_is_wrong_with_what_was_written(folder):
    assert told(folder) == []


def test_what_is_wrong_says_how_to_mend_it(sharded):
    flip(sharded / SHARD)
    (finding,) = examine_slide(sharded)
    assert str(finding) == (
        f"wrong  s1: {SHARD} is not as it was written; remove {sharded} and run wsikd prepare"
    )


def rename_axes(attributes):
    attributes["attributes"]["ome"]["multiscales"][0]["axes"][0]["name"] = "y"


def lose_the_scale(attributes):
    del attributes["attributes"]["ome"]["multiscales"][0]["datasets"][1]["path"]


@pytest.mark.parametrize("change", [rename_axes, lose_the_scale])
def test_what_is_no_ome_zarr_is_told_though_its_checksum_is_right(sharded, change):
    edit(sharded / IMAGE / "zarr.json", change)
    write_checksums(sharded)
    ((state, found),) = told(sharded)
    assert state == "wrong"
    assert found.startswith(f"{IMAGE} is no OME-Zarr (")


def test_arrays_and_record_that_differ_are_told(sharded):
    edit(sharded / "slide.json", lambda record: record["regions"][0]["levels"][0].update(width=7))
    write_checksums(sharded)
    assert told(sharded) == [
        ("wrong", "array 0 of region-000 is (3, 602, 701), by slide.json (3, 602, 7)")
    ]


def test_a_region_that_the_record_does_not_know_is_told(sharded):
    edit(sharded / "slide.json", lambda record: record.update(regions=[]))
    write_checksums(sharded)
    assert ("wrong", f"{IMAGE} is not in slide.json") in told(sharded)


def test_the_folder_of_another_slide_is_told(sharded):
    other = sharded.rename(sharded.with_name("s2"))
    assert told(other) == [("wrong", "slide.json is of the slide s1")]


def test_outlines_and_thumbnail_that_cannot_be_read_are_told(sharded):
    (sharded / "tissue.geojson").write_text('{"features": [1, 2, 3]}')
    (sharded / "thumbnail.png").write_bytes(b"GIF")
    write_checksums(sharded)
    assert told(sharded) == [
        ("wrong", "tissue.geojson has 3 outlines of 1 regions"),
        ("wrong", "thumbnail.png is no picture"),
    ]


NOTE = ("note", "has no checksums, as an older version prepared it; its pixels were decoded")


def test_a_slide_without_checksums_is_decoded_and_that_is_said(folder):
    (folder / CHECKSUMS).unlink()
    assert told(folder) == [NOTE]


@pytest.mark.parametrize("damage", [flip, lambda path: path.write_bytes(path.read_bytes()[:-3])])
def test_damage_of_a_slide_without_checksums_is_found_by_decoding(sharded, damage):
    (sharded / CHECKSUMS).unlink()
    damage(sharded / SHARD)
    assert told(sharded) == [NOTE, ("wrong", "array 0 of region-000 cannot be decoded")]


def test_a_record_that_cannot_be_read_is_all_that_is_told(sharded):
    (sharded / "slide.json").write_text("{")
    ((state, found),) = told(sharded)
    assert state == "wrong"
    assert f"remove {sharded} and prepare it again" in found
