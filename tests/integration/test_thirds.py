"""Each third of the program without the libraries of the others: the rule that the layers keep.

A fresh interpreter in which the others' libraries cannot be imported, as on a machine that lacks
them, imports the third and carries out its commands.
"""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from shapely import box

from tests.builders import slide_record
from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, plan_levels
from wsikd.slides import ArrayReader
from wsikd.store import SlideWriter
from wsikd.tissue import to_geojson
from wsikd.workspace import Workspace

SLIDES = {"openslide", "tiffslide", "tifffile", "imagecodecs", "dask", "distributed"}
LEARNING = {"captum", "safetensors", "sklearn"}
WITHOUT = {
    "pixels": LEARNING | {"matplotlib"},  # jinja2 comes with distributed
    "learning": SLIDES | {"shapely", "skimage", "jinja2"},
    "nuclei and explanations": SLIDES | {"shapely", "jinja2"},
    "numbers": SLIDES | LEARNING | {"torch", "zarr", "shapely", "skimage", "scipy"},
}
ROOMS = {
    "pixels": ("slides", "drawn", "pyramid", "tissue", "prepare", "store"),
    "learning": ("store", "models", "losses", "data", "training", "methods", "probing"),
    "nuclei and explanations": ("nuclei", "explain"),
    "numbers": ("cohort", "runs", "evaluation", "report"),
}

PRELUDE = """
import pkgutil, sys
from importlib import import_module

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""

IMPORT_ALL = """
for room in {rooms}:
    package = import_module("wsikd." + room)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        import_module(found.name)
print("imported", len([name for name in sys.modules if name.startswith("wsikd.")]))
"""

CARRY_OUT = """
from wsikd.cli import main
for command in {commands}:
    status = main(command)
    assert status == 0, (command, status)
"""


def carry_out(third, place, *commands):
    """Run commands of a workspace in an interpreter that lacks the libraries of other thirds."""
    typed = [[*command.split(), "--workspace", str(place)] for command in commands]
    code = PRELUDE.format(absent=WITHOUT[third]) + CARRY_OUT.format(commands=typed)
    return run(code)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def write_slide(store, slide_id, pixels):
    """Write a slide that is all one region, at 10x and 2.5x."""
    writer, mpp, size = SlideWriter(store, slide_id), Mpp(1, 1), Size(64, 48)
    tissue = TissueRegion(0, Region(0, 0, size), box(0, 0, *size))
    levels = plan_levels(size, mpp, PyramidSettings(magnifications=(10, 2.5)))
    with ArrayReader(pixels) as slide:
        rows = build_pyramid(slide, tissue.box, levels)
        region = writer.write_region(tissue, mpp, levels, rows)
    record = slide_record(slide_id, (region,), size, mpp)
    writer.commit(record, to_geojson([tissue], mpp), pixels)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Eight slides of two brightnesses, split, with one region of 64 x 48 pixels each."""
    place = Workspace(tmp_path_factory.mktemp("cohort"))
    random, rows = np.random.default_rng(0), ["slide_id,path,patient_id,label,split"]
    for number, split in enumerate(("train",) * 4 + ("val",) * 2 + ("test",) * 2):
        label, level = (("dark", 60), ("light", 180))[number % 2]
        pixels = random.normal(level, 20, (48, 64, 3)).clip(0, 255).astype(np.uint8)
        write_slide(place.store, f"s{number}", pixels)
        rows.append(f"s{number},s{number}.svs,p{number},{label},{split}")
    place.manifest.write_text("\n".join(rows) + "\n")
    return place


@pytest.fixture(scope="module")
def taught(workspace):
    """The workspace after training on a machine without the slides' libraries."""
    quick = "--epochs 1 --device cpu"
    carry_out(
        "learning",
        workspace.root,
        f"teach {quick}",
        f"distil --student-mag 2.5 {quick}",
        f"pair --pairing crop_pad --patch 16 --batch 4 --expander 8 {quick}",
        f"probe pair-crop_pad-vicreg-10x --draws 100 {quick}",
    )
    return workspace


@pytest.mark.parametrize("third", WITHOUT)
def test_a_third_is_imported_without_the_libraries_of_the_others(third):
    code = PRELUDE.format(absent=WITHOUT[third]) + IMPORT_ALL.format(rooms=ROOMS[third])
    assert run(code).stdout.startswith("imported")


def test_training_leaves_what_the_numbers_need(taught):
    left = {path.name for path in taught.runs.iterdir()}
    assert {"teacher-10x", "student-2.5x", "control-colour", "control-majority"} <= left
    assert len(list((taught.runs / "pictures" / "slides").glob("*.jpg"))) == 8


def test_numbers_and_report_need_the_run_folders_alone(taught, tmp_path):
    laptop = Workspace(tmp_path)
    shutil.copytree(taught.runs, laptop.runs)
    shutil.copy(taught.manifest, laptop.manifest)
    done = carry_out("numbers", laptop.root, "evaluate --draws 200", "report")
    assert "control-colour" in done.stdout
    page = laptop.report.read_text(encoding="utf-8")
    assert "distilled student at 2.5x" in page
    assert page.count("data:image/jpeg;base64,") >= 8
    assert "not made" not in done.stderr


def test_slides_are_prepared_without_what_trains_and_shows(tmp_path):
    carry_out("pixels", tmp_path, f"draw {tmp_path / 'slides'} --slides 1 --auxiliary 0")
    carry_out("pixels", tmp_path, f"prepare {tmp_path / 'slides'} --workers 0")
    (record,) = (tmp_path / "regions").glob("*/slide.json")
    assert record.exists()
