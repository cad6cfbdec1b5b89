"""Slides whose tissue a user has marked, through `prepare`."""

import json

import numpy as np
import pytest
from PIL import Image

from wsikd.cli import main
from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.prepare import PrepareSettings, SlideTask, prepare_slide
from wsikd.store import RegionStore


@pytest.fixture
def store(tmp_path):
    (tmp_path / "regions").mkdir()
    return tmp_path / "regions"


def write_mask(path, *boxes):
    """Mark boxes (left, top, right, bottom) on the drawn slide of 750 x 750 pixels, at a tenth."""
    mask = np.zeros((75, 75), np.uint8)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = 255
    Image.fromarray(mask).save(path)
    return path


def regions_of(store, slide_id="s1"):
    return [
        (region.x, region.y, region.width, region.height)
        for region in RegionStore(store).read_slide(slide_id).regions
    ]


def with_mask(slide, mask):
    return SlideTask("s1", slide, mpp=None, objective_power=None, mask_path=mask)


def test_a_mask_decides_the_regions_whatever_the_slide_shows(slide, store, settings, tmp_path):
    mask = write_mask(tmp_path / "m.png", (10, 10, 30, 20), (40, 50, 60, 70))
    status = prepare_slide(with_mask(slide, mask), store, settings)
    assert (status.status, status.regions) == ("done", 2)
    # ten pixels of 1 µm to one of the mask, and a margin of 50 µm
    assert regions_of(store) == [(50, 50, 300, 200), (350, 450, 300, 300)]


def test_a_changed_mask_is_noticed_and_an_unchanged_one_is_done(slide, store, settings, tmp_path):
    mask = write_mask(tmp_path / "m.png", (10, 10, 30, 20))
    task = with_mask(slide, mask)
    prepare_slide(task, store, settings)
    assert prepare_slide(task, store, settings).status == "skipped"
    write_mask(mask, (10, 10, 40, 20))
    status = prepare_slide(task, store, settings)
    assert status.status == "failed"
    assert "was prepared with mask " in status.error
    assert status.error.endswith("redo it with --overwrite")
    again = settings.model_copy(update={"overwrite": True})
    assert prepare_slide(task, store, again).status == "done"
    assert regions_of(store) == [(50, 50, 400, 200)]


def test_a_mask_that_is_not_there_fails_its_slide(slide, store, settings, tmp_path):
    status = prepare_slide(with_mask(slide, tmp_path / "none.png"), store, settings)
    assert status.status == "failed"
    assert status.error == (
        f"{tmp_path / 'none.png'}: no such file; correct mask_path in the manifest"
    )


def test_a_picture_with_a_mask_is_stored_as_a_slide(store, tmp_path):
    Image.new("RGB", (100, 80), (200, 100, 150)).save(tmp_path / "p.png")
    Image.new("L", (100, 80), 255).save(tmp_path / "m.png")
    whole = PrepareSettings(tissue={"method": "whole"}, pyramid={"magnifications": (10,)})
    task = SlideTask("s1", tmp_path / "p.png", 1.0, None, tmp_path / "m.png")
    assert prepare_slide(task, store, whole).status == "done"
    record = RegionStore(store).read_slide("s1")
    assert (record.version, record.is_picture) == (1, False)
    assert regions_of(store) == [(0, 0, 100, 80)]


def test_the_manifest_names_masks_relative_to_itself(slide, tmp_path):
    geometry = {
        "type": "Polygon",
        "coordinates": [[[100, 100], [300, 100], [300, 200], [100, 200], [100, 100]]],
    }
    (tmp_path / "m.geojson").write_text(json.dumps({"type": "Feature", "geometry": geometry}))
    other = DrawSettings(mpp=1.0, pieces=1, piece_mm=(0.4, 0.5))
    draw_slide(tmp_path / "s2.svs", "normal", other, index=1)
    (tmp_path / "slides.csv").write_text(
        f"slide_id,path,patient_id,mask_path\ns1,{slide},p1,m.geojson\ns2,s2.svs,p2,\n"
    )
    place = tmp_path / "here"
    arguments = ["prepare", "--manifest", str(tmp_path / "slides.csv"), "--workspace", str(place)]
    assert main([*arguments, "--workers", "0", "--pyramid.magnifications", "2.5"]) == 0
    assert regions_of(place / "regions", "s1") == [(50, 50, 300, 200)]
    assert regions_of(place / "regions", "s2") != [(50, 50, 300, 200)]
