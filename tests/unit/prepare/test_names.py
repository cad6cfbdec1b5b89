"""Files of any name are prepared, under the ids that the table has."""

import os

import pytest

from wsikd.cohort import read_manifest, write_manifest
from wsikd.prepare import prepare_slides, take_in
from wsikd.store import RegionStore

IDS = {
    "S\u00a01.svs": "S 1",
    "back\\slash.svs": "back_slash",
    "blank .svs": "blank",
    "byte\udcff.svs": "byte_",
    "in/noext": "noext",
    "tab\there.TF8": "tab here",
    "z.svs ": "z",
}


@pytest.fixture
def workspace(tmp_path, slide):
    for name in IDS:
        (tmp_path / "slides" / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(slide, tmp_path / "slides" / name)
    return tmp_path


def test_the_table_and_the_store_have_the_same_ids_and_a_rerun_finds_all_done(workspace, settings):
    for expected in ("done", "skipped"):
        table = take_in(workspace / "slides.csv", workspace / "slides", None)
        write_manifest(table, workspace / "slides.csv")
        held = read_manifest(workspace / "slides.csv")
        assert dict(zip(held["path"], held["slide_id"], strict=True)) == {
            str(workspace / "slides" / name): slide_id for name, slide_id in IDS.items()
        }
        statuses = prepare_slides(held, workspace / "regions", settings)
        assert {status.slide_id: status.status for status in statuses} == dict.fromkeys(
            IDS.values(), expected
        )
        assert RegionStore(workspace / "regions").slide_ids() == sorted(IDS.values())
    names = [
        RegionStore(workspace / "regions").read_slide(name).source.name for name in ("z", "byte_")
    ]
    assert names == ["z.svs ", r"byte\udcff.svs"]
