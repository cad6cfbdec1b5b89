import json
import shutil

import pytest

from wsikd.errors import StoreError
from wsikd.store import RegionStore, find_damage


def refusal(call, *arguments):
    with pytest.raises(StoreError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_missing_store_names_the_command_that_makes_it(tmp_path):
    message = refusal(RegionStore, tmp_path / "regions")
    assert message == f"{tmp_path / 'regions'}: no such folder; make it with `wsikd prepare`"


def test_magnifications_are_those_that_every_slide_has(tmp_path, write):
    write(tmp_path, "a", magnifications=(20, 10, 5))
    write(tmp_path, "b", magnifications=(10, 5, 2.5))
    store = RegionStore(tmp_path)
    assert store.slide_ids() == ["a", "b"]
    assert store.magnifications() == (10, 5)


def test_an_empty_store_has_no_magnification(tmp_path):
    assert RegionStore(tmp_path).magnifications() == ()


def test_hidden_folders_are_no_slides(tmp_path, write):
    write(tmp_path)
    (tmp_path / "s1").rename(tmp_path / ".s1.partial")
    assert RegionStore(tmp_path).slide_ids() == []


def test_a_magnification_not_prepared_is_refused_with_those_that_were(tmp_path, write):
    write(tmp_path, magnifications=(10, 1.25))
    message = refusal(RegionStore(tmp_path).read_pixels, "s1", "region-000", 5.0)
    assert "5x was not prepared, only 10x, 1.25x; " in message
    assert "region-000" in message


def test_a_region_that_is_not_there_is_refused(tmp_path, write):
    write(tmp_path)
    message = refusal(RegionStore(tmp_path).read_pixels, "s1", "region-007", 10)
    assert message == f"{tmp_path / 's1'}: no region-007 among 1"


def test_a_slide_that_is_not_there_is_refused(tmp_path):
    message = refusal(RegionStore(tmp_path).read_slide, "s2")
    assert message.startswith(f"{tmp_path / 's2' / 'slide.json'}: no such file; ")
    assert "wsikd prepare" in message


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def empty(path):
    path.write_bytes(b"")


ARRAY_1 = "array 1 of region-000 is missing or incomplete"


@pytest.mark.parametrize(
    ("ngff", "harm", "name", "told"),
    [
        ("0.5", cut, "slide.json", "slide.json is no JSON"),
        ("0.5", remove, "tissue.geojson", "tissue.geojson is missing or empty"),
        ("0.5", empty, "thumbnail.png", "thumbnail.png is missing or empty"),
        ("0.5", remove, "region-000.ome.zarr/1", ARRAY_1),
        ("0.5", cut, "region-000.ome.zarr/1/zarr.json", ARRAY_1),
        ("0.5", remove, "region-000.ome.zarr/1/c", ARRAY_1),
        ("0.5", empty, "region-000.ome.zarr/1/c/0/0/0", ARRAY_1),
        ("0.4", remove, "region-000.ome.zarr/1/.zarray", ARRAY_1),
        ("0.4", remove, "region-000.ome.zarr/0/0/1/0", ARRAY_1.replace("1", "0", 1)),
    ],
)
def test_what_a_slide_lacks_is_found_without_reading_pixels(
    tmp_path, write, ngff, harm, name, told
):
    write(tmp_path, ngff=ngff)
    assert find_damage(tmp_path / "s1") is None
    harm(tmp_path / "s1" / name)
    assert find_damage(tmp_path / "s1") == told


def test_another_format_version_is_no_damage(tmp_path, write):
    write(tmp_path)
    path = tmp_path / "s1" / "slide.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 3}))
    assert "found wsikd-regions version 3" in refusal(find_damage, tmp_path / "s1")


def test_another_format_version_is_refused_by_both_numbers(tmp_path, write):
    write(tmp_path)
    path = tmp_path / "s1" / "slide.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 3}))
    message = refusal(RegionStore(tmp_path).read_slide, "s1")
    assert message == (
        f"{path}: expected wsikd-regions version 1 or 2, found wsikd-regions version 3; "
        "update wsikd"
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "must be JSON"),
        ("[]", ": "),
        ('{"format": "wsikd-regions", "version": 1}', "required"),
    ],
)
def test_a_damaged_record_is_refused_by_its_file(tmp_path, write, text, rule):
    write(tmp_path)
    path = tmp_path / "s1" / "slide.json"
    path.write_text(text)
    message = refusal(RegionStore(tmp_path).read_slide, "s1")
    assert message.startswith(f"{path}: ")
    assert rule in message
    assert message.endswith(f"; remove {tmp_path / 's1'} and prepare it again")
    assert "\n" not in message


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9, -1])
def test_a_flipped_byte_is_refused_and_not_decoded(tmp_path, write, place):
    write(tmp_path)
    shard = tmp_path / "s1" / "region-000.ome.zarr" / "0" / "c" / "0" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[place if place < 0 else int(place * len(data))] ^= 0x10
    shard.write_bytes(data)
    message = refusal(RegionStore(tmp_path).read_pixels, "s1", "region-000", 20)
    assert "damaged" in message
    assert message.endswith(f"; remove {tmp_path / 's1'} and prepare it again")
    assert "\n" not in message


@pytest.mark.parametrize("keep", [0, 100, 20_000])
def test_a_shard_cut_short_is_refused_and_not_decoded(tmp_path, write, keep):
    write(tmp_path)
    shard = tmp_path / "s1" / "region-000.ome.zarr" / "0" / "c" / "0" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:keep])
    assert "damaged" in refusal(RegionStore(tmp_path).read_pixels, "s1", "region-000", 20)


def test_a_missing_shard_is_refused_and_not_read_as_white(tmp_path, write):
    write(tmp_path)
    (tmp_path / "s1" / "region-000.ome.zarr" / "0" / "c" / "0" / "0" / "0").unlink()
    assert "damaged" in refusal(RegionStore(tmp_path).read_pixels, "s1", "region-000", 20)


def test_a_missing_array_is_refused(tmp_path, write):
    write(tmp_path)
    (tmp_path / "s1" / "region-000.ome.zarr" / "0" / "zarr.json").unlink()
    assert "damaged" in refusal(RegionStore(tmp_path).read_pixels, "s1", "region-000", 20)


def test_damaged_outlines_are_refused(tmp_path, write):
    write(tmp_path)
    (tmp_path / "s1" / "tissue.geojson").write_text("{")
    assert "tissue.geojson" in refusal(RegionStore(tmp_path).read_outlines, "s1")
