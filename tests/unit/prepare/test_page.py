import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from shapely import Polygon
from shapely.affinity import scale
from shapely.geometry import mapping

from tests.builders import slide_record, write_plain_slide
from wsikd.geometry import Size
from wsikd.prepare import page, write_page
from wsikd.prepare.status import SlideStatus
from wsikd.prepare.thumbnails import contours
from wsikd.status_table import StatusTable
from wsikd.store.records import LevelRecord, RegionRecord


class Page(HTMLParser):
    """Reads the rows of the table, and every address that the page asks a browser for."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.addresses, self.text = [], [], text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.addresses += [known[name] for name in ("src", "href", "action") if name in known]
        if tag == "tr":
            self.rows.append({"state": known.get("class"), "text": ""})
        if tag == "td" and known.get("class") == "who":
            self.rows[-1]["slide"] = known["data-value"]

    def handle_data(self, data):
        if self.rows:
            self.rows[-1]["text"] += data

    def slides(self):
        return [(row["slide"], row["state"]) for row in self.rows[1:]]

    def row(self, slide):
        (found,) = [row for row in self.rows[1:] if row["slide"] == slide]
        return " ".join(found["text"].split())


def shown_of(store):
    return Page(write_page(store).read_text())


def write_status(store, *rows):
    table = StatusTable(store / "status.csv", SlideStatus, ("slide_id",), holds="outcomes")
    for row in rows:
        table.put(SlideStatus(**row))
    table.write()


def outcome(slide_id, status="done", **others):
    return {"slide_id": slide_id, "path": f"/data/{slide_id}.svs", "status": status, **others}


@pytest.fixture
def store(tmp_path):
    """Four slides: one failed, one with a warning, two without a fault."""
    for name in ("b", "a", "warned"):
        write_plain_slide(tmp_path, name, {"0": (64, 48)})
    wrong = "/data/none.svs: no µm per pixel known; state it with --mpp"
    write_status(
        tmp_path,
        outcome("a", seconds=12.5),
        outcome("b", "skipped", seconds=0.1),
        outcome("none", "failed", error=wrong),
        outcome("warned", warnings="20x left out; its file is that of a as well"),
    )
    return tmp_path


def test_failures_come_first_then_warnings_then_the_rest_by_name(store):
    assert shown_of(store).slides() == [
        ("none", "failed"), ("warned", "doubtful"), ("a", "complete"), ("b", "complete")
    ]  # fmt: skip


def test_a_row_tells_what_is_wrong_and_what_to_do_and_not_where_the_slide_lies(store):
    told = shown_of(store).row("none")
    assert told == (
        "nothing stored none failed none.svs: no µm per pixel known; state it with --mpp"
    )


def test_a_row_has_the_facts_of_the_record_and_the_sizes_on_disk(store):
    told = shown_of(store).row("a")
    stored = sum(file.stat().st_size for file in (store / "a").rglob("*") if file.is_file())
    assert 1000 < stored < 9950
    facts = ("1 0.00307 mm²", "10x 1.25x", "1 from given", f"{stored / 1000:.1f} kB", "12.5")
    for fact in facts:  # 64 x 48 µm are 0.003072 mm²
        assert fact in told, fact
    assert "prepared before" in shown_of(store).row("b")


def test_every_warning_is_told_by_itself(store):
    warnings = re.findall(r'<p class="said">(.*?)</p>', write_page(store).read_text())
    assert warnings == ["20x left out", "its file is that of a as well"]


def test_the_page_asks_for_nothing_beside_it_or_from_the_network(store):
    shown = shown_of(store)
    assert len(shown.addresses) == 3  # the pictures
    assert all(address.startswith("data:image/jpeg;base64,") for address in shown.addresses)
    assert not re.search(r"https?:|@import|url\(", shown.text)


def test_what_a_file_says_is_text_and_never_part_of_the_page(store):
    evil = "</td><script>alert(1)</script>"
    write_status(store, outcome("none", "failed", error=f"{evil}; {evil}"))
    text = write_page(store).read_text()
    assert evil not in text
    assert text.count("<script>") == 1  # our own
    assert text.count("&lt;script&gt;alert(1)") == 2


def test_a_slide_that_failed_later_keeps_the_facts_that_are_stored(store):
    write_status(store, outcome("a", "failed", error="/data/a.svs: no such file; correct its path"))
    shown = shown_of(store)
    assert shown.slides()[0] == ("a", "failed")
    assert "What is stored is from before. " in shown.row("a")
    assert "10x 1.25x" in shown.row("a")


@pytest.mark.parametrize("damage", ["gone", "no JSON"])
def test_a_slide_that_is_not_there_any_more_is_a_failure(store, damage):
    record = store / "a" / "slide.json"
    record.write_text("{") if damage == "no JSON" else record.unlink()
    shown = shown_of(store)
    assert shown.slides()[0] == ("a", "failed")
    assert "its folder is missing or damaged; prepare it again" in shown.row("a")


def test_slides_of_a_store_without_a_table_of_outcomes_are_shown(store):
    (store / "status.csv").unlink()
    assert shown_of(store).slides() == [(name, "complete") for name in ("a", "b", "warned")]


def test_a_picture_is_made_once_and_again_when_its_slide_was(store):
    first = write_page(store).read_text()
    picture, record = store / "a" / "thumbnail.png", store / "a" / "slide.json"
    Image.new("RGB", (64, 48), "black").save(picture)
    assert shown_of(store).addresses == Page(first).addresses
    os.utime(record, ns=(0, record.stat().st_mtime_ns + 10**9))
    assert shown_of(store).addresses != Page(first).addresses


def test_a_kept_picture_that_a_crash_cut_short_is_made_again(store):
    whole = write_page(store).read_text()
    (kept,) = (store / ".thumbnails").rglob("a.jpg")
    stat = kept.stat()
    kept.write_bytes(kept.read_bytes()[:40])
    os.utime(kept, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert shown_of(store).addresses == Page(whole).addresses


def test_a_slide_whose_picture_is_damaged_has_none(store):
    (store / "a" / "thumbnail.png").write_bytes(b"none")
    (store / "a" / "tissue.geojson").write_text("{}")
    shown = shown_of(store)
    assert len(shown.addresses) == 2
    assert "no picture" in shown.row("a")


def test_beyond_a_limit_slides_without_doubts_have_no_picture_and_the_page_says_so(
    store, monkeypatch
):
    monkeypatch.setattr(page, "_MOST_PICTURES", 2)
    shown = shown_of(store)
    assert len(shown.addresses) == 2
    assert "no picture" in shown.row("b")
    assert "1 slide at the end have no picture" in " ".join(shown.text.split())


def test_pictures_are_smaller_where_there_are_many():
    assert [page._side(count) for count in (0, 1000, 1001, 2000)] == [320, 320, 200, 200]


def test_outlines_lie_on_the_picture_where_the_tissue_is_on_the_slide():
    angles = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    radii = 900 + 80 * np.sin(5 * angles)
    around = np.stack([2000 + radii * np.cos(angles), 1500 + radii * np.sin(angles)], axis=1)
    hole = [(1800, 1400), (2200, 1400), (2200, 1700), (1800, 1700)]
    tissue = Polygon(around, [hole])
    named = {"geometry": mapping(tissue), "properties": {"name": "region-000"}}
    ((name, path),) = contours({"features": [named]}, Size(4000, 3000), Size(320, 240))
    assert name == "region-000"
    assert len(path) < 3000  # of 2,004 corners, most of them on a nearly straight line
    outer, inner = (
        [tuple(map(int, corner.split())) for corner in ring.split("L")]
        for ring in path.strip("MZ").split("ZM")
    )
    drawn = scale(Polygon(outer, [inner]), 4000 / 640, 3000 / 480, origin=(0, 0))
    assert drawn.symmetric_difference(tissue).area < 0.02 * tissue.area


def test_pieces_within_a_pixel_are_not_drawn():
    speck = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}
    several = {"type": "MultiPolygon", "coordinates": [speck["coordinates"]]}
    features = [{"geometry": shape, "properties": {}} for shape in (speck, several)]
    assert contours({"features": features}, Size(1000, 1000), Size(100, 100)) == []


def test_an_interrupted_page_leaves_the_old_one(store, monkeypatch):
    before = write_page(store).read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(OSError, match="no space"):
        write_page(store)
    assert (store / "index.html").read_bytes() == before
    assert not list(store.glob(".*.partial"))


def test_the_page_of_a_thousand_slides_is_of_readable_size(tmp_path):
    """A fifth of them, with pictures of blurred noise, which are larger than those of slides."""
    pixels = np.random.default_rng(0).normal(200, 30, (60, 80, 3)).clip(0, 255).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC))
    level = LevelRecord(magnification=10, path="0", width=9, height=9, mpp=(1, 1))
    region = RegionRecord(
        region_id="region-000", x=0, y=0, width=9, height=9, area_um2=9, levels=(level,)
    )
    Image.fromarray(pixels).save(tmp_path / "thumbnail.png")
    picture = (tmp_path / "thumbnail.png").read_bytes()
    for number in range(200):
        folder = tmp_path / f"s{number:03}"
        folder.mkdir()
        record = slide_record(folder.name, (region,) * 3, (9000, 9000), (0.5, 0.5))
        (folder / "slide.json").write_text(record.model_dump_json())
        (folder / "thumbnail.png").write_bytes(picture)
        (folder / "tissue.geojson").write_text(json.dumps({"features": []}))
    written = write_page(tmp_path)
    assert len(Page(written.read_text()).slides()) == 200
    assert written.stat().st_size < 30e6 / 1000 * 200
