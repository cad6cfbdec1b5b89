import pkgutil
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from shapely import box

from wsikd.cli.footprints import Footprints
from wsikd.cohort.columns import ALIASES, COLUMNS, SPLITS
from wsikd.drawn.slides import DrawSettings, draw_slides
from wsikd.evaluation import EvaluateSettings, evaluate_runs, metrics_table
from wsikd.evaluation.metrics import METRICS
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.hashing import text_digest
from wsikd.models import MODELS
from wsikd.models.weights import ModelDescription
from wsikd.nuclei.score.metrics import NUCLEI_METRICS
from wsikd.nuclei.segmented import FieldStatus
from wsikd.nuclei.weights import SegmenterDescription
from wsikd.prepare import PrepareSettings, SlideStatus
from wsikd.recipes.steps import Recipe
from wsikd.runs import METHODS, PREDICTION_COLUMNS, Provenance, RunFolder
from wsikd.runs.learnt import LEARNT_COLUMNS
from wsikd.store import LevelRecord, RegionRecord, SlideRecord, Source
from wsikd.store.ome import region_attributes
from wsikd.tissue import to_geojson

DOCS = Path(__file__).parents[2] / "docs"
FORMATS = (DOCS / "formats.md").read_text(encoding="utf-8")
PIECE = TissueRegion(0, Region(0, 0, Size(8, 8)), box(0, 0, 8, 8))
MPP = Mpp(1.0, 1.0)


def keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def undocumented(section: str, names: Iterable[str]) -> set[str]:
    """Names that the section, with those below it, does not set in backticks."""
    level, _, after = re.split(rf"^(#+) {re.escape(section)}$()", FORMATS, flags=re.M)[1:]
    text = re.split(rf"^#{{1,{len(level)}}} ", after, flags=re.M)[0]
    return set(names) - set(re.findall(r"`([^`\n]+)`", text))


@pytest.mark.parametrize(
    ("section", "names"),
    [
        (
            "slides.csv",
            [*COLUMNS, *SPLITS, *(name for names in ALIASES.values() for name in names)],
        ),
        ("slide.json", [*SlideRecord.model_fields, *RegionRecord.model_fields]),
        ("slide.json", [*LevelRecord.model_fields, *Source.model_fields]),
        ("slide.json", PrepareSettings().of_slide(None, None)),
        ("status.csv", SlideStatus.model_fields),
        ("run.json", [*Provenance.model_fields, *METHODS]),
        ("model.json", [*ModelDescription.model_fields, *MODELS]),
        ("model.json of a segmenter", SegmenterDescription.model_fields),
        ("Nuclei", FieldStatus.model_fields),
        ("runs/segment-metrics.json and runs/segment-metrics.csv", NUCLEI_METRICS),
        ("predictions.csv", PREDICTION_COLUMNS),
        ("learnt.csv", LEARNT_COLUMNS),
        ("runs/metrics.json and runs/metrics.csv", METRICS),
        ("Recipes", [*Recipe.model_fields, *Footprints()]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_formats_names_every_field(section, names):
    assert undocumented(section, names) == set()


def test_formats_names_what_is_said_of_a_region_in_ome_zarr():
    levels = [PyramidLevel(10.0, Size(8, 8), MPP)]
    attributes = region_attributes(PIECE, MPP, levels, kernel="lanczos", ngff="0.5")
    (multiscale,) = attributes["ome"]["multiscales"]
    names = {*attributes, *attributes["ome"], *multiscale, *multiscale["metadata"]}
    names |= {*multiscale["datasets"][0], *attributes["wsikd"]}
    assert undocumented("region-NNN.ome.zarr", names) == set()


def test_formats_names_what_is_said_of_a_piece_in_geojson():
    (feature,) = to_geojson([PIECE], MPP)["features"]
    names = {"id", "geometry", "properties", *keys_of(feature["properties"])}
    assert undocumented("tissue.geojson", names) == set()


def test_formats_names_what_is_drawn(tmp_path):
    draw_slides(tmp_path, DrawSettings(slides=1, auxiliary=0, mpp=4.0, pieces=1))
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.[jgc]*")}
    names = {name.replace("slide-000", "<slide_id>") for name in names}
    assert "drawing.json" in names
    assert undocumented("Drawn slides", names) == set()


def write_run(runs: Path, method: str, *, finished: bool = True) -> None:
    made = Provenance(
        name=method,
        method=method,
        magnification=10.0,
        classes=("a", "b"),
        inputs={"teacher": text_digest("teacher")},
    )
    run = RunFolder(runs / method).start(EvaluateSettings(), made)
    run.model_path().write_text(method)
    known = {"slide_id": ["1", "2"], "patient_id": ["1", "2"], "label": ["a", "b"], "p_0": 0.6}
    table = pd.DataFrame(known | {"split": "test", "gmacs": 1.0, "p_1": 0.4})
    run.write_predictions(table.reindex(columns=[*PREDICTION_COLUMNS, "p_0", "p_1"], fill_value=1))
    if finished:
        run.finish(seconds=0.0)


def test_formats_names_every_number_of_the_metrics(tmp_path):
    write_run(tmp_path, "teacher")
    write_run(tmp_path, "student")
    write_run(tmp_path, "finetuned", finished=False)
    rows = [["1", "1", "a", "test"], ["2", "2", "b", "test"]]
    manifest = pd.DataFrame(rows, columns=["slide_id", "patient_id", "label", "split"])
    manifest = manifest.reindex(columns=COLUMNS, fill_value="")
    metrics = evaluate_runs(tmp_path, manifest, EvaluateSettings(draws=100))
    assert metrics.differences
    assert metrics.left_out
    columns = {re.sub("_(low|high|note)$", "", name) for name in metrics_table(metrics).columns}
    names = {*keys_of(metrics.model_dump(exclude={"settings"})), *columns}
    assert undocumented("runs/metrics.json and runs/metrics.csv", names) == set()


def test_decisions_point_at_code_that_exists():
    decisions = (DOCS / "decisions.md").read_text(encoding="utf-8")
    names = re.findall(r"`(wsikd(?:\.\w+)+)`", decisions.replace("`wsikd.yaml`", ""))
    assert len(names) > 20
    for name in names:
        pkgutil.resolve_name(name)
