import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from shapely import box as rectangle

from wsikd.errors import StoreError
from wsikd.methods.pictures import crop_region, draw_thumbnail, refresh_pictures
from wsikd.runs.pictures import FailedSlide, PictureFolder
from wsikd.store import RegionStore

NO_SLIDES = pd.DataFrame({"slide_id": [], "label": []}, dtype=str)


@pytest.fixture
def store(tmp_path, write_slide):
    """One slide of 1000 x 800 µm, white but for a dark square from (600, 300) on, 400 µm wide."""
    pixels = np.full((800, 1000, 3), 255, np.uint8)
    pixels[300:700, 600:1000] = 40
    outline = rectangle(600, 300, 1000, 700)
    write_slide(tmp_path, "s", {"region-000": (1000, 800)}, pixels=pixels, outline=outline)
    return RegionStore(tmp_path)


def values(image):
    return np.asarray(image.convert("RGB")).astype(int)


def test_a_crop_shows_the_most_stained_square_at_every_magnification(store):
    side_um, crops = crop_region(store, "s", "region-000")
    assert side_um == 400
    assert {magnification: crop.size for magnification, crop in crops.items()} == {
        10.0: (400, 400),
        1.25: (50, 50),
    }
    for crop in crops.values():
        assert values(crop).mean() == pytest.approx(40, abs=6)


def test_the_outline_is_drawn_where_the_tissue_is(store):
    picture = values(draw_thumbnail(store, "s"))
    assert picture.shape == (80, 100, 3)
    blue = picture[..., 2] - picture[..., 0] > 60
    rows, columns = np.nonzero(blue)
    assert (columns.min(), rows.min(), rows.max()) == pytest.approx((60, 30, 70), abs=2)
    assert not blue[35:65, 65:95].any()


def test_only_failed_slides_are_listed_with_their_reason(tmp_path):
    rows = [("s1", "done", ""), ("s2", "failed", "s2.svs: no tissue")]
    table = pd.DataFrame(rows, columns=["slide_id", "status", "error"])
    table.to_csv(tmp_path / "status.csv", index=False)
    pictures = refresh_pictures(tmp_path / "runs", RegionStore(tmp_path), NO_SLIDES)
    assert pictures.failed == (FailedSlide(slide_id="s2", error="s2.svs: no tissue"),)


@pytest.mark.parametrize("text", ["", "slide_id\n", 'slide_id,status,error\n"a'])
def test_a_damaged_table_of_outcomes_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "status.csv"
    path.write_text(text)
    with pytest.raises(StoreError) as refused:
        refresh_pictures(tmp_path / "runs", RegionStore(tmp_path), NO_SLIDES)
    remedy = "run wsikd prepare, which writes it anew"
    assert str(refused.value) == f"{path}: must be a table of outcomes; {remedy}"


def test_one_slide_of_each_class_shows_its_largest_region(tmp_path, write_slide):
    manifest = pd.DataFrame({"slide_id": ["s1", "s2", "s3"], "label": ["b", "a", "a"]})
    for slide_id in manifest["slide_id"]:
        sizes = {"region-000": (64, 48), "region-001": (96, 80)}
        write_slide(tmp_path, slide_id, sizes)
    shown = refresh_pictures(tmp_path / "runs", RegionStore(tmp_path), manifest).regions
    assert [(one.label, one.slide_id, one.region_id) for one in shown] == [
        ("a", "s2", "region-001"),
        ("b", "s1", "region-001"),
    ]
    assert [one.side_um for one in shown] == [80, 80]


def test_a_slide_is_drawn_again_only_if_it_changed(tmp_path, store, write_slide):
    runs = tmp_path / "runs"
    first = refresh_pictures(runs, store, NO_SLIDES)
    file = PictureFolder(runs).path / first.slides[0].picture
    before = file.stat().st_mtime_ns
    assert refresh_pictures(runs, store, NO_SLIDES) == first
    assert file.stat().st_mtime_ns == before
    file.unlink()
    refresh_pictures(runs, store, NO_SLIDES)
    with Image.open(file) as drawn:
        assert drawn.size == (100, 80)


def test_pictures_of_slides_that_are_gone_are_removed(tmp_path, store, write_slide):
    runs = tmp_path / "runs"
    write_slide(tmp_path, "gone", {"region-000": (64, 64)})
    refresh_pictures(runs, RegionStore(tmp_path), NO_SLIDES)
    shutil.rmtree(tmp_path / "gone")
    refresh_pictures(runs, RegionStore(tmp_path), NO_SLIDES)
    names = [path.name for path in PictureFolder(runs).path.rglob("*.jpg")]
    assert names == ["s.jpg"]


def test_pictures_of_slides_of_the_manifest_stay_where_there_are_no_regions(tmp_path, store):
    runs, manifest = tmp_path / "runs", pd.DataFrame({"slide_id": ["s"], "label": ["a"]})
    made = refresh_pictures(runs, store, manifest)
    assert len(made.regions) == 1
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    assert refresh_pictures(runs, RegionStore(empty), manifest) == made
    assert (PictureFolder(runs).path / "slides" / "s.jpg").exists()


def test_a_damaged_record_is_made_anew(tmp_path, store):
    runs = tmp_path / "runs"
    made = refresh_pictures(runs, store, NO_SLIDES)
    (PictureFolder(runs).path / "pictures.json").write_text("junk")
    assert refresh_pictures(runs, store, NO_SLIDES) == made


def test_only_pictures_are_removed_from_the_folder(tmp_path, store):
    runs = tmp_path / "runs"
    other = PictureFolder(runs).path / "notes.txt"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    refresh_pictures(runs, store, NO_SLIDES)
    assert other.read_text() == "mine"


def test_a_region_is_cut_again_only_if_its_pictures_are_not_whole(tmp_path, store):
    runs, manifest = tmp_path / "runs", pd.DataFrame({"slide_id": ["s"], "label": ["a"]})
    (region,) = refresh_pictures(runs, store, manifest).regions
    fine, coarse = (PictureFolder(runs).path / crop.picture for crop in region.crops)
    before = coarse.stat().st_mtime_ns
    assert refresh_pictures(runs, store, manifest).regions == (region,)
    assert coarse.stat().st_mtime_ns == before
    fine.write_bytes(b"")
    assert refresh_pictures(runs, store, manifest).regions == (region,)
    assert fine.stat().st_size > 0
    renamed = refresh_pictures(runs, store, manifest.assign(label="b")).regions
    assert [one.label for one in renamed] == ["b"]
