import subprocess
import sys

import pandas as pd
import pytest

from wsikd.errors import StoreError
from wsikd.report.slides import failed_slides, shown_regions, shown_slides
from wsikd.runs import Provenance, RunFolder
from wsikd.store import RegionStore


@pytest.fixture
def many(tmp_path, write_slide):
    """Thirty slides of two classes, of which the last was misread; and the run that read them."""
    manifest = pd.DataFrame(
        {
            "slide_id": [f"s{index:02d}" for index in range(30)],
            "patient_id": [f"p{index:02d}" for index in range(30)],
            "label": ["a", "b"] * 15,
            "split": "test",
            "fold": "",
        }
    )
    for slide_id in manifest["slide_id"]:
        write_slide(tmp_path / "regions", slide_id, {"region-000": (64, 64)})
    made = Provenance(name="student-1.25x", method="student", classes=("a", "b"))
    run = RunFolder(tmp_path / "runs" / made.name)
    run.path.mkdir(parents=True)
    run.write_provenance(made.model_copy(update={"status": "complete"}))
    table = manifest.assign(region_id="region-000", width=8, height=8, gmacs=1.0)
    table["p_0"] = (table["label"] == "a").astype(float)
    table.loc[29, "p_0"] = 1.0
    run.write_predictions(table.assign(p_1=1 - table["p_0"]))
    return RegionStore(tmp_path / "regions"), tmp_path / "runs", manifest


def test_slides_beyond_the_limit_are_counted_and_mistakes_are_shown(many, metrics):
    store, runs, manifest = many
    metrics["settings"] = {"checkpoint": "best", "split": "test"}
    slides = shown_slides(store, runs, metrics, manifest)
    assert (len(slides["shown"]), slides["rest"]) == (24, 6)
    first = slides["shown"][0]
    assert (first["slide_id"], first["label"], first["reading"]["reading"]) == ("s29", "b", "a")


def test_only_failed_slides_are_listed_with_their_reason(tmp_path):
    rows = [("s1", "done", ""), ("s2", "failed", "s2.svs: no tissue")]
    table = pd.DataFrame(rows, columns=["slide_id", "status", "error"])
    table.to_csv(tmp_path / "status.csv", index=False)
    assert failed_slides(RegionStore(tmp_path)) == [
        {"slide_id": "s2", "error": "s2.svs: no tissue"}
    ]


@pytest.mark.parametrize("text", ["", "slide_id\n", 'slide_id,status,error\n"a'])
def test_a_damaged_table_of_outcomes_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "status.csv"
    path.write_text(text)
    with pytest.raises(StoreError) as refused:
        failed_slides(RegionStore(tmp_path))
    remedy = "run wsikd prepare, which writes it anew"
    assert str(refused.value) == f"{path}: must be a table of outcomes; {remedy}"


def test_one_slide_of_each_class_shows_its_largest_region(tmp_path, write_slide):
    manifest = pd.DataFrame({"slide_id": ["s1", "s2", "s3"], "label": ["b", "a", "a"]})
    for slide_id in manifest["slide_id"]:
        sizes = {"region-000": (64, 48), "region-001": (96, 80)}
        write_slide(tmp_path, slide_id, sizes)
    shown = shown_regions(RegionStore(tmp_path), manifest)
    assert [(one["label"], one["slide_id"], one["region_id"]) for one in shown] == [
        ("a", "s2", "region-001"),
        ("b", "s1", "region-001"),
    ]
    assert [one["side_um"] for one in shown] == [80, 80]


def test_neither_numbers_nor_pages_need_torch():
    code = "import sys, wsikd.evaluation, wsikd.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
