import subprocess
import sys

import pandas as pd
import pytest

from wsikd.methods.pictures import refresh_pictures
from wsikd.report.slides import shown_slides
from wsikd.runs import Provenance, RunFolder
from wsikd.runs.pictures import PictureFolder
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
    store = RegionStore(tmp_path / "regions")
    return refresh_pictures(tmp_path / "runs", store, manifest), tmp_path / "runs", manifest


def test_slides_beyond_the_limit_are_counted_and_mistakes_are_shown(many, metrics):
    pictures, runs, manifest = many
    slides = shown_slides(pictures, PictureFolder(runs), runs, metrics, manifest)
    assert (len(slides.shown), slides.rest) == (24, 6)
    first = slides.shown[0]
    assert (first.slide_id, first.label, first.reading.reading) == ("s29", "b", "a")
    assert first.picture.startswith("data:image/jpeg;base64,")


def test_neither_numbers_nor_pages_need_torch():
    code = "import sys, wsikd.evaluation, wsikd.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
