"""Pictures of slides and made-up predictions, through prepare and evaluate, to the page."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image, ImageDraw

from wsikd.cohort.manifest import read_manifest
from wsikd.cohort.splits import assign_folds, splits_of_fold
from wsikd.config import Settings
from wsikd.errors import ConfigError, NothingUsableError
from wsikd.evaluation import EvaluateSettings, evaluate_runs
from wsikd.hashing import text_digest
from wsikd.methods.controls import refresh_controls
from wsikd.methods.pictures import refresh_pictures
from wsikd.prepare import PrepareSettings, prepare_slides
from wsikd.report import write_report
from wsikd.runs import Provenance, RunFolder, run_name
from wsikd.store import RegionStore

CLASSES = ("normal", "tumour <b>bold</b>")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
HEADLESS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--window-size=1200,3000",
    "--dump-dom",
]
MEASURE = """<script>
const found = {
  hidden: [...document.querySelectorAll(".scroll")].map(one => one.scrollWidth - one.clientWidth),
  names: [...document.querySelectorAll("tbody td")].filter(one => one.innerText == "normal" ||
    one.innerText.startsWith("tumour")).map(one => {
      const text = document.createRange();
      text.selectNodeContents(one);
      return text.getBoundingClientRect().left; }),
};
document.body.innerText = JSON.stringify(found);
</script></body>"""


class Page(HTMLParser):
    """Collects what a page loads, its images' texts and its words."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.tags, self.words = [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href", "data")]

    def handle_data(self, data):
        self.words.append(data)


def _draw_slide(path, index):
    image = Image.new("RGB", (640, 480), (244, 243, 245))
    pen = ImageDraw.Draw(image)
    pen.ellipse((80, 60, 540, 420), fill=(205, 120 + 10 * (index % 2), 190))
    random = np.random.default_rng(index)
    for x, y in random.integers((150, 120), (470, 360), (300, 2)):
        pen.ellipse((x, y, x + 6, y + 6), fill=(90, 50, 140))
    tifffile.imwrite(path, np.asarray(image), tile=(256, 256), photometric="rgb")


def _write_runs(runs, manifest, store):
    for method, magnification, wrong in [("teacher", 10.0, []), ("student", 1.25, ["s3"])]:
        for fold in ("0", "1", "2"):
            name = run_name(method, magnification, fold=int(fold))
            made = Provenance(
                name=name,
                method=method,
                magnification=magnification,
                fold=int(fold),
                classes=CLASSES,
                inputs={"teacher": text_digest(f"weights teacher-10x-fold{fold}")},
            )
            run = RunFolder(runs / name).start(Settings(), made)
            run.model_path().write_text(f"weights {name}")
            table = manifest.loc[
                manifest["fold"] == fold, ["slide_id", "patient_id", "label"]
            ].assign(region_id="region-000", split="test", width=64, height=48)
            table["gmacs"] = 64.0 / (10 / magnification) ** 2
            sure = np.where(table["slide_id"].isin(wrong), 0.2, 0.8)
            table["p_0"] = np.where(table["label"] == CLASSES[0], sure, 1 - sure)
            table["p_1"] = 1 - table["p_0"]
            run.write_predictions(table)
            run.write_learnt(splits_of_fold(manifest, int(fold)))
            for epoch in (1, 2):
                run.log({"epoch": epoch, "train": {"loss": 1 / epoch}, "val": {"loss": 1.0}})
            run.finish(seconds=60.0)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Six slides of two classes and a file that is none; two runs of three folds, evaluated."""
    folder = tmp_path_factory.mktemp("workspace")
    rows = []
    for index in range(6):
        _draw_slide(folder / f"s{index}.tif", index)
        rows.append((f"s{index}", f"p{index}", f"s{index}.tif", CLASSES[index % 2]))
    (folder / "page.svs").write_text("<html>not found</html>")
    rows.append(("page", "p9", "page.svs", CLASSES[0]))
    table = pd.DataFrame(rows, columns=["slide_id", "patient_id", "path", "label"])
    table.to_csv(folder / "slides.csv", index=False)
    manifest = assign_folds(read_manifest(folder / "slides.csv"), 3)
    settings = PrepareSettings(mpp=1.0, workers=0)
    prepare_slides(manifest, folder / "regions", settings)
    usable = manifest[manifest["slide_id"] != "page"]
    _write_runs(folder / "runs", usable, RegionStore(folder / "regions"))
    store = RegionStore(folder / "regions")
    settings = EvaluateSettings(draws=200)
    refresh_controls(folder / "runs", store, manifest, settings.control)
    evaluate_runs(folder / "runs", manifest, settings)
    return folder, manifest


@pytest.fixture(scope="module")
def page(workspace):
    folder, manifest = workspace
    output = folder / "report.html"
    refresh_pictures(folder / "runs", RegionStore(folder / "regions"), manifest)
    write_report(folder / "runs", manifest, output)
    return Page(output.read_text(encoding="utf-8"))


def test_the_page_needs_nothing_beside_it(page):
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "script" not in page.tags


def test_the_page_opens_with_the_answer(page):
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "The distilled student at 1.25x gets 83 % of 6 slides right" in text
    assert "64 times less computation than the teacher" in text


def test_every_slide_is_shown_with_what_was_read_and_mistakes_come_first(page):
    slides = page.text.partition("its mistakes come first.")[2]
    shown = re.findall(r"\b(s\d) \w.*?, read as ([✓✗])", slides)
    assert sorted(name for name, _ in shown) == [f"s{index}" for index in range(6)]
    assert shown[0] == ("s3", "✗")
    assert [mark for _, mark in shown[1:]] == ["✓"] * 5


def test_numbers_that_a_test_set_is_too_small_for_have_their_note(page):
    # three patients of each class: no interval of a mean over classes
    assert "balanced F1 accuracy AUROC ECE GFLOPs" in page.text
    note = "An interval needs at least 5 patients of each class, and 'normal' has 3, "
    assert re.search(rf"Notes beside the numbers .*(\d) {re.escape(note)}", page.text)
    assert "Each class, per slide" in page.text


def test_a_chart_without_bars_says_why(page):
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    few = "an interval needs at least 5 patients of each class, and 'normal' has 3, "
    assert f"Slides, without 95 % intervals: {few}" in text


def test_a_slide_that_failed_is_named_with_its_reason(page):
    assert re.search(r"could not be used.* page .*page\.svs: ", page.text)


def test_labels_are_text_and_not_markup(page):
    assert "tumour <b>bold</b>" in page.text


def test_every_magnification_is_shown_for_each_class(page):
    for magnification in ("10x", "5x", "2.5x", "1.25x", "0.625x"):
        assert len(re.findall(rf" {re.escape(magnification)} \d+ . \d+ px", page.text)) == 2


def test_without_pictures_the_page_has_the_numbers_alone(workspace, page, tmp_path):
    folder, manifest = workspace
    shutil.copytree(folder / "runs", tmp_path / "runs", ignore=lambda *_: ["pictures"])
    write_report(tmp_path / "runs", manifest, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "The distilled student at 1.25x" in page.text
    assert "The slides" not in page.text


@pytest.mark.parametrize("name", ["run.json", "settings.yaml"])
def test_a_run_damaged_since_is_named_and_the_page_written(workspace, tmp_path, name):
    folder, manifest = workspace
    shutil.copytree(folder / "runs", tmp_path / "runs")
    (tmp_path / "runs" / "student-1.25x-fold0" / name).write_text("junk")
    write_report(tmp_path / "runs", manifest, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert re.search(rf"student-1.25x : \S*{name}: must", page.text)


def test_a_folder_is_no_place_for_the_page(workspace, tmp_path):
    folder, manifest = workspace
    with pytest.raises(ConfigError, match=r"must be a file, is a folder; name the page$"):
        write_report(folder / "runs", manifest, tmp_path)


def test_runs_that_were_not_evaluated_are_refused(workspace, tmp_path):
    _, manifest = workspace
    with pytest.raises(NothingUsableError, match=r"metrics.json: no such file; run wsikd evaluate"):
        write_report(tmp_path, manifest, tmp_path / "report.html")


def test_a_run_that_was_removed_since_asks_for_a_new_evaluation(workspace, tmp_path):
    folder, manifest = workspace
    shutil.copytree(folder / "runs", tmp_path / "runs")
    for path in (tmp_path / "runs").glob("student-*"):
        shutil.rmtree(path)
    with pytest.raises(NothingUsableError, match=r"student-1.25x: .*; run wsikd evaluate again"):
        write_report(tmp_path / "runs", manifest, tmp_path / "report.html")


@pytest.mark.parametrize(
    ("column", "value"),
    [("fold", "0"), ("split", "auxiliary"), ("label", "x"), ("patient_id", "q")],
)
def test_numbers_of_another_manifest_ask_for_a_new_evaluation(workspace, tmp_path, column, value):
    folder, manifest = workspace
    changed = manifest.copy()
    changed.attrs["source"] = "slides.csv"
    changed.loc[changed["slide_id"] == "s0", column] = value
    assert (changed[column] != manifest[column]).any()
    with pytest.raises(NothingUsableError) as refusal:
        write_report(folder / "runs", changed, tmp_path / "report.html")
    assert str(refusal.value) == (
        "slides.csv: its slides, patients, splits or labels have changed since the evaluation; run "
        "wsikd evaluate again"
    )
    assert not (tmp_path / "report.html").exists()


def test_moved_slides_and_another_order_ask_for_nothing(workspace, tmp_path):
    folder, manifest = workspace
    moved = manifest.iloc[::-1].assign(path="elsewhere/" + manifest["slide_id"])
    write_report(folder / "runs", moved, tmp_path / "report.html")
    assert (tmp_path / "report.html").exists()


def test_numbers_from_before_the_manifest_was_recorded_are_shown(workspace, tmp_path):
    folder, manifest = workspace
    shutil.copytree(folder / "runs", tmp_path / "runs")
    path = tmp_path / "runs" / "metrics.json"
    older = json.loads(path.read_text())
    del older["cohort"]
    path.write_text(json.dumps(older))
    write_report(tmp_path / "runs", manifest.assign(label="x"), tmp_path / "report.html")
    assert (tmp_path / "report.html").exists()


def test_scored_as_released_the_page_has_the_released_accuracy(workspace, tmp_path):
    folder, manifest = workspace
    shutil.copytree(folder / "runs", tmp_path / "runs")
    settings = EvaluateSettings(draws=200, compat="release")
    evaluate_runs(tmp_path / "runs", manifest, settings)
    write_report(tmp_path / "runs", manifest, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "AUROC ECE accuracy as released GFLOPs" in page.text
    assert "Differences per slide" not in page.text


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
def test_a_browser_shows_every_column_and_class_names_in_a_line(workspace, tmp_path):
    folder, manifest = workspace
    shutil.copytree(folder / "runs", tmp_path / "runs")
    settings = EvaluateSettings(draws=200, compat="release", ordered=CLASSES)
    evaluate_runs(tmp_path / "runs", manifest, settings)
    path = tmp_path / "report.html"
    write_report(tmp_path / "runs", manifest, path)
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", MEASURE), encoding="utf-8")
    command = [BROWSER, *HEADLESS, f"--user-data-dir={tmp_path / 'browser'}", path.as_uri()]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    found = json.loads(html.unescape(re.search(r"<body>(.*)</body>", shown, re.S)[1]))
    assert len(found["hidden"]) == 3  # regions, slides, and each class
    assert not any(found["hidden"])
    assert len(found["names"]) >= 4
    assert len(set(found["names"])) == 1
