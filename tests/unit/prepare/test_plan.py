import shutil
from pathlib import Path

import pandas as pd
import pytest

from wsikd.cohort.manifest import manifest_from_folder
from wsikd.prepare import SlidePlan, add_up, plan_slides, prepare_slides
from wsikd.prepare.estimate import Estimate, LevelEstimate


@pytest.fixture
def manifest(tmp_path, slide):
    """Return a manifest of two good slides and a missing one."""
    table = manifest_from_folder(slide.parent)
    again, missing = table.assign(slide_id="s2"), table.assign(slide_id="s0", path="gone.svs")
    return pd.concat([table, again, missing], ignore_index=True)


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_tells_what_is_complete_to_do_and_would_fail_and_touches_nothing(
    tmp_path, manifest, settings
):
    store, told = tmp_path / "regions", []
    prepare_slides(manifest[:1], store, settings)
    before = files_of(tmp_path)
    plans = plan_slides(manifest, store, settings, told.append)
    assert [(plan.slide_id, plan.status) for plan in plans] == [
        ("s1", "complete"), ("s2", "to do"), ("s0", "failed")
    ]  # fmt: skip
    assert told == plans
    assert plans[2].error == ("gone.svs: no such file; correct its path in the manifest")
    assert files_of(tmp_path) == before


def test_a_store_that_is_not_there_is_not_made(tmp_path, manifest, settings):
    plan_slides(manifest[:1], tmp_path / "regions", settings)
    assert list(tmp_path.iterdir()) == []


def test_other_settings_are_refused_as_prepare_refuses_them(tmp_path, manifest, settings):
    store = tmp_path / "regions"
    prepare_slides(manifest[:1], store, settings)
    other = settings.model_copy(update={"ngff": "0.4"})
    (plan,) = plan_slides(manifest[:1], store, other)
    (status,) = prepare_slides(manifest[:1], store, other)
    assert plan.error == status.error
    assert "now asked for 0.4; redo it with --overwrite" in plan.error
    (plan,) = plan_slides(manifest[:1], store, other.model_copy(update={"overwrite": True}))
    assert plan.status == "to do"


def test_a_damaged_slide_would_be_made_again(tmp_path, manifest, settings):
    store = tmp_path / "regions"
    prepare_slides(manifest[:1], store, settings)
    (store / "s1" / "thumbnail.png").unlink()
    (plan,) = plan_slides(manifest[:1], store, settings)
    assert plan.status == "to do"
    assert plan.warnings[0].startswith("prepared again, as thumbnail.png is missing")


def test_worker_processes_tell_the_same(tmp_path, slide, settings):
    for name in "abc":
        shutil.copy(slide, tmp_path / f"{name}.svs")
    table = manifest_from_folder(tmp_path)
    (alone, together) = (
        plan_slides(table, Path("regions"), settings.model_copy(update={"workers": workers}))
        for workers in (0, 2)
    )
    for one, other in zip(alone, together, strict=True):
        assert one.slide_id == other.slide_id
        assert one.estimate.levels == other.estimate.levels


def plan(name, seconds):
    estimate = Estimate(
        regions=2, region_pixels=1000, slide_pixels=2000, thumbnail_pixels=0, seconds=seconds,
        levels=(LevelEstimate(magnification=10, pixels=100, bytes=250),), left_out=(),
    )  # fmt: skip
    return SlidePlan(slide_id=name, status="to do", estimate=estimate)


def test_slides_that_are_prepared_at_once_share_the_time_but_the_longest_takes_its_own(settings):
    plans = [plan("a", 10), plan("b", 20), plan("c", 30), SlidePlan(slide_id="d", status="failed")]
    alone = add_up(plans, settings)
    assert (alone.to_do, alone.failed, alone.complete, alone.regions) == (3, 1, 0, 6)
    assert (alone.bytes, alone.region_pixels, alone.seconds) == (750, 3000, 60)
    of_two = add_up(plans, settings.model_copy(update={"workers": 2}))
    of_many = add_up(plans, settings.model_copy(update={"workers": 8}))
    assert (of_two.seconds, of_two.workers) == (30, 2)
    assert (of_many.seconds, of_many.workers) == (30, 3)
