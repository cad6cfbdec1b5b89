import json
from pathlib import Path

import pandas as pd
import pytest

from wsikd.cohort.manifest import manifest_from_folder
from wsikd.errors import ConfigError
from wsikd.prepare import batch, prepare_slide, prepare_slides
from wsikd.store import RegionStore


@pytest.fixture
def manifest(tmp_path, slide):
    """Return a manifest of a good slide, then a missing one."""
    table = manifest_from_folder(slide.parent)
    missing = table.assign(slide_id="s0", path=str(tmp_path / "gone.svs"))
    return pd.concat([table, missing], ignore_index=True)


def rows(store):
    return pd.read_csv(store / "status.csv", keep_default_na=False).set_index("slide_id")


def test_every_slide_has_a_row_and_outcomes_keep_the_manifests_order(tmp_path, manifest, settings):
    told = []
    done = prepare_slides(manifest, tmp_path / "regions", settings, told.append)
    assert [status.slide_id for status in done] == ["s1", "s0"]
    assert told == done
    assert rows(tmp_path / "regions")["status"].to_dict() == {"s0": "failed", "s1": "done"}


def test_a_damaged_table_of_outcomes_is_told_of_and_does_not_stop_the_batch(
    tmp_path, manifest, settings
):
    (tmp_path / "status.csv").write_text("<html>")
    told = []
    prepare_slides(manifest, tmp_path, settings, on_warning=told.append)
    assert [text.partition("; ")[0] for text in told] == [
        f"{tmp_path / 'status.csv'}: must be a table of outcomes"
    ]
    assert rows(tmp_path)["status"].to_dict() == {"s0": "failed", "s1": "done"}


def test_rows_of_other_slides_are_kept(tmp_path, manifest, settings):
    prepare_slides(manifest, tmp_path / "regions", settings)
    prepare_slides(manifest[:1], tmp_path / "regions", settings)
    assert rows(tmp_path / "regions")["status"].to_dict() == {"s0": "failed", "s1": "skipped"}


def test_the_same_file_under_two_names_is_a_warning(tmp_path, manifest, settings):
    twin = tmp_path / "twin.svs"
    twin.write_bytes(Path(manifest.loc[0, "path"]).read_bytes())
    manifest.loc[1, ["slide_id", "path"]] = ["s9", str(twin)]
    told = []
    done = prepare_slides(manifest, tmp_path / "regions", settings, on_warning=told.append)
    assert told == ["s9: its file is that of s1 as well, keep one of them"]
    assert "that of s1 as well" in rows(tmp_path / "regions").loc["s9", "warnings"]
    assert [("as well" in status.warnings) for status in done] == [False, True]


def test_equal_pixels_in_another_file_are_a_warning(tmp_path, manifest, settings):
    twin = tmp_path / "twin.svs"
    twin.write_bytes(Path(manifest.loc[0, "path"]).read_bytes() + b"\0")
    manifest.loc[1, ["slide_id", "path"]] = ["s9", str(twin)]
    told = []
    prepare_slides(manifest, tmp_path / "regions", settings, on_warning=told.append)
    assert told == ["s9: its pixels are those of s1 as well, keep one of them"]


def test_a_record_that_lacks_the_pixels_is_not_redone_for_them(tmp_path, manifest, settings):
    prepare_slides(manifest[:1], tmp_path / "regions", settings)
    path = tmp_path / "regions" / manifest.loc[0, "slide_id"] / "slide.json"
    record = json.loads(path.read_text())
    pixels = record.pop("pixels")
    path.write_text(json.dumps(record))
    (path.parent / "checksums.sha256").unlink()  # older versions wrote none
    (status,) = prepare_slides(manifest[:1], tmp_path / "regions", settings)
    assert status.status == "skipped"
    assert RegionStore(tmp_path / "regions").read_digest(status.slide_id) == pixels != ""


@pytest.mark.parametrize(
    ("column", "option", "mpp"), [("1.5", 2.0, 1.5), ("", 2.0, 2.0), ("", None, 1.0)]
)
def test_the_manifests_mpp_goes_before_the_option_and_that_before_the_file(
    tmp_path, manifest, settings, column, option, mpp
):
    table = manifest[:1].assign(mpp=column)
    prepare_slides(table, tmp_path / "regions", settings.model_copy(update={"mpp": option}))
    assert RegionStore(tmp_path / "regions").read_slide("s1").mpp == (mpp, mpp)


def test_an_address_without_a_scheduler_is_refused(tmp_path, manifest, settings):
    elsewhere = settings.model_copy(update={"scheduler": "nowhere"})
    with pytest.raises(ConfigError, match=r"--scheduler must be the address .*, got 'nowhere' \("):
        prepare_slides(manifest, tmp_path / "regions", elsewhere)


def test_what_was_done_is_written_down_when_the_batch_is_interrupted(tmp_path, manifest, settings):
    def interrupt(status):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_slides(manifest, tmp_path / "regions", settings, interrupt)
    assert rows(tmp_path / "regions")["status"].to_dict() == {"s1": "done"}


def test_a_slide_whose_answer_was_lost_and_asked_for_again_is_done_not_skipped(
    tmp_path, manifest, settings, monkeypatch
):
    def ask_twice(*arguments):
        prepare_slide(*arguments)
        return prepare_slide(*arguments)

    monkeypatch.setattr(batch, "prepare_slide", ask_twice)
    (done,) = prepare_slides(manifest[:1], tmp_path / "regions", settings)
    (again,) = prepare_slides(manifest[:1], tmp_path / "regions", settings)
    assert (done.status, again.status) == ("done", "skipped")
