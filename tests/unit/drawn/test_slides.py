import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError
from shapely.geometry import Polygon, box, shape

from wsikd.drawn.painting import Painter
from wsikd.drawn.plan import STRUCTURES, Structure, draw_plan
from wsikd.drawn.slides import CLASSES, DrawSettings, draw_slide, draw_slides
from wsikd.errors import ResumeError
from wsikd.geometry import Mpp, Region, Size
from wsikd.slides import open_slide

SMALL = DrawSettings(mpp=2.0, pieces=2, piece_mm=(0.6, 0.9), seed=1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn") / "slide.svs"
    return path, draw_slide(path, "reactive", SMALL)


def test_openslide_and_tiffslide_read_the_same_aperio_slide(drawn):
    with (
        open_slide(drawn[0], reader="openslide") as first,
        open_slide(drawn[0], reader="tiffslide") as second,
    ):
        assert first.format == second.format == "aperio"
        assert first.level_sizes == second.level_sizes
        assert len(first.level_sizes) >= 2
        assert first.stated_mpp == second.stated_mpp == Mpp(2.0, 2.0)
        assert first.objective_power == second.objective_power == 5.0
        for level, size in enumerate(first.level_sizes):
            np.testing.assert_array_equal(
                first.read(Region(0, 0, size), level=level),
                second.read(Region(0, 0, size), level=level),
            )


def test_tissue_is_inside_the_outlines_and_glass_outside(drawn):
    path, outlines = drawn
    with open_slide(path) as slide:
        pixels = slide.read(Region(0, 0, slide.size))
    picture = Image.new("L", pixels.shape[1::-1])
    for outline in outlines:
        ImageDraw.Draw(picture).polygon(list(outline.exterior.coords), fill=1)
    drawn_tissue, inside = pixels.min(axis=2) < 225, np.asarray(picture) > 0
    assert drawn_tissue[inside].mean() > 0.8  # the lumina of glands are pale
    assert drawn_tissue[~inside].mean() < 0.01


def test_pieces_lie_apart_on_the_slide_and_have_the_size_asked_for(drawn):
    path, outlines = drawn
    with open_slide(path) as slide:
        ground = box(0, 0, *slide.size)
    assert len(outlines) == 2
    assert all(ground.contains(outline) for outline in outlines)
    assert outlines[0].distance(outlines[1]) * SMALL.mpp > 100
    for left, top, right, bottom in (outline.bounds for outline in outlines):
        assert 300 <= right - left <= 450  # 0.6 to 0.9 mm at 2 µm per pixel
        assert 300 <= bottom - top <= 450


def test_the_same_seed_and_index_draw_the_same_file(drawn, tmp_path):
    draw_slide(tmp_path / "again.svs", "reactive", SMALL)
    assert (tmp_path / "again.svs").read_bytes() == drawn[0].read_bytes()


@pytest.mark.parametrize("change", [{"settings": SMALL.model_copy(update={"seed": 2})},
                                    {"index": 1}], ids=["seed", "index"])  # fmt: skip
def test_another_seed_or_index_draws_another_slide(drawn, tmp_path, change):
    draw_slide(tmp_path / "other.svs", "reactive", **{"settings": SMALL, **change})
    assert (tmp_path / "other.svs").read_bytes() != drawn[0].read_bytes()


def plan(structure, *, seed=0, focus=1.0):
    tissue = Polygon([(100, 100), (1900, 100), (1900, 1900), (100, 1900)])
    return draw_plan([tissue], (2000, 2000), structure, focus, np.random.default_rng(seed))


def test_a_rectangle_is_painted_the_same_alone_and_as_part_of_a_larger_one():
    painter = Painter(plan(STRUCTURES["tumour"]), 0.5, 0.1, np.random.default_rng(0))
    whole = painter.paint(700, 900, Size(640, 512))
    for x, y in ((700, 900), (956, 1000), (1084, 1156)):
        part = painter.paint(x, y, Size(256, 256))
        expected = whole[y - 900 : y - 644, x - 700 : x - 444]
        # the plan is enlarged in floating point: one grey level where rounding falls either way
        assert np.abs(part.astype(int) - expected).max() <= 3
        assert (part == expected).mean() > 0.99


def test_classes_hold_the_same_amount_of_each_stain():
    def mean_colour(label):
        painter = Painter(plan(STRUCTURES[label]), 2.0, 0.0, np.random.default_rng(0))
        return painter.paint(100, 100, Size(800, 800)).mean(axis=(0, 1))

    colours = [mean_colour(label) for label in CLASSES]
    assert np.ptp(colours, axis=0).max() < 4  # grey levels; stains vary by about ten


def test_focus_is_the_part_that_is_diseased():
    huge = Structure(0.06, 1.15, (7.0, 7.0), 0.0)  # nuclei that occur in no other tissue

    def diseased(focus):
        nuclei = plan(huge, focus=focus).nuclei
        return (nuclei.short > 6).sum()

    assert diseased(0.25) / diseased(1.0) == pytest.approx(0.25, abs=0.08)


def test_the_table_lists_every_slide_by_patient_and_class(tmp_path):
    settings = DrawSettings(
        slides=4, auxiliary=2, slides_per_patient=2, mpp=4.0, pieces=1, piece_mm=(0.4, 0.5)
    )
    table = pd.read_csv(draw_slides(tmp_path, settings), keep_default_na=False)
    assert table["patient_id"].tolist() == [f"patient-00{n}" for n in (0, 0, 1, 1, 2, 2)]
    assert table["label"].tolist() == ["normal", "normal", "reactive", "reactive", "", ""]
    assert table["split"].tolist() == ["", "", "", "", "auxiliary", "auxiliary"]
    for slide_id, name in zip(table["slide_id"], table["path"], strict=True):
        truth = json.loads((tmp_path / "outlines" / f"{slide_id}.geojson").read_text())
        with open_slide(tmp_path / name) as slide:
            ground = box(0, 0, *slide.size)
        assert [ground.contains(shape(f["geometry"])) for f in truth["features"]] == [True]


def test_a_folder_of_someones_own_is_not_drawn_over(tmp_path):
    settings = DrawSettings(slides=1, mpp=4.0, pieces=1, piece_mm=(0.4, 0.5))
    (tmp_path / "slides.csv").write_text("mine")
    with pytest.raises(ResumeError, match=r"must be empty or drawn by wsikd, holds slides\.csv; "):
        draw_slides(tmp_path, settings)
    assert [path.name for path in tmp_path.iterdir()] == ["slides.csv"]
    assert (tmp_path / "slides.csv").read_text() == "mine"


def test_a_drawn_folder_is_drawn_again_with_other_settings(tmp_path):
    settings = DrawSettings(slides=1, mpp=4.0, pieces=1, piece_mm=(0.4, 0.5))
    draw_slides(tmp_path, settings)
    draw_slides(tmp_path, settings.model_copy(update={"mpp": 2.0}))
    with open_slide(tmp_path / "slide-000.svs") as slide:
        assert slide.stated_mpp == Mpp(2.0, 2.0)


def test_pieces_too_small_for_a_gland_are_drawn_without(tmp_path):
    settings = SMALL.model_copy(update={"piece_mm": (0.1, 0.1)})
    assert len(draw_slide(tmp_path / "a.svs", "tumour", settings)) == 2


@pytest.mark.parametrize("sides", [(1.5, 1.0), (0.0, 1.0)])
def test_refuses_pieces_of_no_possible_size(sides):
    with pytest.raises(ValidationError, match=r"must be 0.1 or more and ascending, got"):
        DrawSettings(piece_mm=sides)
