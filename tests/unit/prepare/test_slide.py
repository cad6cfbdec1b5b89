import json
import os
import shutil

import pytest
from PIL import Image

from wsikd.locks import in_turn
from wsikd.prepare import SlideTask, prepare_slide
from wsikd.store import RegionStore


@pytest.fixture
def task(tmp_path, slide):
    """Return a copy of the slide, to be changed at will."""
    path = tmp_path / "slides" / "s1.svs"
    path.parent.mkdir()
    shutil.copy(slide, path)
    return SlideTask("s1", path, mpp=None, objective_power=None)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "regions").mkdir()
    return tmp_path / "regions"


def with_coarser_tissue(settings):
    return settings.model_copy(
        update={"tissue": settings.tissue.model_copy(update={"mpp": 4.0}), "overwrite": False}
    )


def test_the_record_tells_how_the_slide_was_prepared(task, store, settings):
    status = prepare_slide(task, store, settings)
    record = RegionStore(store).read_slide("s1")
    assert (status.status, status.regions, status.magnifications) == ("done", 1, "2.5 1.25")
    assert (record.width, record.height) == (750, 750)
    assert record.settings["pyramid"]["magnifications"] == [2.5, 1.25]
    assert record.settings["tissue"]["mpp"] == 8.0
    assert (record.source.name, record.source.bytes) == ("s1.svs", task.path.stat().st_size)
    assert (record.mpp, record.mpp_source) == ((1, 1), "file")


def test_no_path_gets_into_the_record(task, store, settings, tmp_path):
    prepare_slide(task, store, settings)
    assert str(tmp_path) not in (store / "s1" / "slide.json").read_text()


def test_the_thumbnail_is_the_whole_slide_and_at_most_1024_pixels_wide(task, store, settings):
    prepare_slide(task, store, settings)
    with Image.open(store / "s1" / "thumbnail.png") as thumbnail:
        assert thumbnail.size == (750, 750)


def test_a_complete_slide_is_skipped(task, store, settings):
    first = prepare_slide(task, store, settings)
    again = prepare_slide(task, store, settings)
    assert again.status == "skipped"
    assert (again.regions, again.magnifications) == (first.regions, first.magnifications)


def test_other_settings_are_refused_by_the_difference(task, store, settings):
    prepare_slide(task, store, settings)
    before = (store / "s1" / "slide.json").read_text()
    status = prepare_slide(task, store, with_coarser_tissue(settings))
    assert status.status == "failed"
    assert status.error == (
        f"{store / 's1'}: was prepared with tissue.mpp 8.0, now asked for 4.0; "
        "redo it with --overwrite"
    )
    assert (store / "s1" / "slide.json").read_text() == before


def test_a_slide_of_an_older_version_which_had_fewer_settings_is_skipped(task, store, settings):
    prepare_slide(task, store, settings)
    path = store / "s1" / "slide.json"
    record = json.loads(path.read_text())
    for name in ("min_tint", "min_texture", "max_shade", "fill_um", "drop_other_ink", "drop_lines"):
        del record["settings"]["tissue"][name]
    path.write_text(json.dumps(record))
    (store / "s1" / "checksums.sha256").unlink()  # older versions wrote none
    assert prepare_slide(task, store, settings).status == "skipped"
    other = settings.model_copy(
        update={"tissue": settings.tissue.model_copy(update={"fill_um": 0.0})}
    )
    assert "was prepared with tissue.fill_um 200.0, now asked for 0.0" in (
        prepare_slide(task, store, other).error
    )


def test_the_row_of_a_refused_slide_keeps_the_facts_of_what_is_there(task, store, settings):
    made = prepare_slide(task, store, settings)
    refused = prepare_slide(task, store, with_coarser_tissue(settings))
    facts = {"regions", "magnifications", "reader", "mpp", "mpp_source", "warnings"}
    assert refused.model_dump(include=facts) == made.model_dump(include=facts)
    assert (made.refused, refused.refused) == (False, True)


def test_the_row_of_a_slide_that_was_moved_away_keeps_the_facts_of_what_is_there(
    task, store, settings
):
    made = prepare_slide(task, store, settings)
    task.path.unlink()
    gone = prepare_slide(task, store, settings)
    facts = {"regions", "magnifications", "reader", "mpp", "mpp_source", "warnings"}
    assert gone.model_dump(include=facts) == made.model_dump(include=facts)
    assert (gone.status, gone.refused) == ("failed", False)


def cut_short(folder):
    path = folder / "slide.json"
    path.write_text(path.read_text()[:-20])


def lose_a_region(folder):
    (folder / "region-000.ome.zarr").rename(folder / "lost")


def empty_the_outlines(folder):
    (folder / "tissue.geojson").write_bytes(b"")


DAMAGE = {
    cut_short: "slide.json is no JSON",
    lose_a_region: "array 0 of region-000 is missing or incomplete",
    empty_the_outlines: "tissue.geojson is missing or empty",
}


@pytest.mark.parametrize(("damage", "told"), DAMAGE.items())
def test_a_slide_that_lacks_something_is_prepared_again_and_its_row_says_so(
    task, store, settings, damage, told
):
    prepare_slide(task, store, settings)
    before = RegionStore(store).read_pixels("s1", "region-000", 1.25)
    damage(store / "s1")
    again = prepare_slide(task, store, settings)
    assert (again.status, again.warnings) == ("done", f"prepared again, as {told}")
    assert (RegionStore(store).read_pixels("s1", "region-000", 1.25) == before).all()
    assert prepare_slide(task, store, settings).status == "skipped"


def test_the_row_of_a_slide_that_cannot_be_prepared_again_has_no_facts_of_what_is_damaged(
    task, store, settings
):
    prepare_slide(task, store, settings)
    cut_short(store / "s1")
    task.path.unlink()
    status = prepare_slide(task, store, settings)
    assert (status.status, status.regions, status.magnifications) == ("failed", 0, "")


def test_a_slide_that_changed_is_refused(task, store, settings):
    prepare_slide(task, store, settings)
    data = bytearray(task.path.read_bytes())
    data[-1] ^= 1
    task.path.write_bytes(data)
    assert prepare_slide(task, store, settings).error == (
        f"{store / 's1'}: the slide s1.svs changed since; redo it with --overwrite"
    )


def test_overwrite_redoes_a_slide(task, store, settings):
    prepare_slide(task, store, settings)
    update = {"overwrite": True}
    status = prepare_slide(task, store, with_coarser_tissue(settings).model_copy(update=update))
    assert status.status == "done"
    assert RegionStore(store).read_slide("s1").settings["tissue"]["mpp"] == 4.0


def test_a_failed_overwrite_keeps_what_was_there(task, store, settings):
    prepare_slide(task, store, settings)
    task.path.write_bytes(b"")
    status = prepare_slide(task, store, settings.model_copy(update={"overwrite": True}))
    assert status.status == "failed"
    assert RegionStore(store).slide_ids() == ["s1"]


def test_workers_and_overwrite_do_not_count_as_other_settings(task, store, settings):
    prepare_slide(task, store, settings)
    update = {"workers": 7, "scheduler": "tcp://elsewhere:1"}
    assert prepare_slide(task, store, settings.model_copy(update=update)).status == "skipped"


def test_a_slide_that_another_process_holds_is_left_to_it(task, store, settings):
    with in_turn(store / ".locks" / "s1"):
        status = prepare_slide(task, store, settings)
    assert status.error == (
        f"{store / 's1'}: process {os.getpid()} is preparing it; try again when it is done"
    )
    assert prepare_slide(task, store, settings).status == "done"


def test_a_slide_that_is_not_there_is_named(store, settings, tmp_path):
    path = tmp_path / "gone.svs"
    status = prepare_slide(SlideTask("s1", path, None, None), store, settings)
    assert status.error == f"{path}: no such file; correct its path in the manifest"


def test_magnifications_too_fine_for_the_slide_are_left_out_with_a_warning(task, store, settings):
    fine = settings.model_copy(
        update={"pyramid": settings.pyramid.model_copy(update={"magnifications": (40.0, 2.5)})}
    )
    status = prepare_slide(task, store, fine)
    assert status.magnifications == "2.5"
    assert status.warnings == "40x left out, the slide's own 1 µm per pixel is coarser"


def test_contradicting_resolutions_are_a_warning_in_the_row(task, store, settings):
    status = prepare_slide(
        SlideTask("s1", task.path, mpp=2.0, objective_power=None), store, settings
    )
    assert status.status == "done"
    assert (status.mpp, status.mpp_source) == (2.0, "given")
    assert "100% apart" in status.warnings


def test_a_record_of_a_later_format_is_not_overwritten(task, store, settings):
    prepare_slide(task, store, settings)
    path = store / "s1" / "slide.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 9}))
    status = prepare_slide(task, store, settings)
    assert status.status == "failed"
    assert "found wsikd-regions version 9" in status.error
