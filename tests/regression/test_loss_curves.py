"""Loss curves of teach and distil on a small fixed store: a refactor leaves them as they are.

`python tests/regression/test_loss_curves.py` writes the golden file anew after a change of method,
which CHANGELOG then explains.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from shapely import box

from tests.builders import slide_record
from wsikd.geometry import Mpp, Region, TissueRegion
from wsikd.methods.distil import distil
from wsikd.methods.distil_settings import DistilSettings
from wsikd.methods.teach import TeachSettings, teach
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, plan_levels
from wsikd.slides.array import ArrayReader
from wsikd.store import RegionStore, SlideWriter
from wsikd.tissue import to_geojson

GOLDEN = Path(__file__).parent / "golden" / "loss_curves.json"
MPP = Mpp(1.0, 1.0)
SPLITS = ("train", "train", "train", "val", "test", "auxiliary")


def draw_region(index):
    """Draw stripes or dots, by whether the index is even, of a size of its own."""
    random = np.random.default_rng(index)
    pixels = np.full((70 + 9 * index, 120 - 7 * index, 3), (230, 180, 210), np.int16)
    if index % 2:
        pixels[:, ::4] -= 80
    else:
        pixels[::4, ::4] -= 160
    return np.clip(pixels + random.integers(-20, 20, pixels.shape), 0, 255).astype(np.uint8)


def write_slide(folder, slide_id, pixels):
    reader = ArrayReader(pixels, mpp=1.0)
    region = TissueRegion(0, Region(0, 0, reader.size), box(0, 0, *reader.size))
    levels = plan_levels(reader.size, MPP, PyramidSettings(magnifications=(10.0, 2.5)))
    writer = SlideWriter(folder, slide_id)
    written = writer.write_region(region, MPP, levels, build_pyramid(reader, region.box, levels))
    record = slide_record(
        slide_id, (written,), (reader.size.width, reader.size.height), MPP, slide_format="array"
    )
    writer.commit(record, to_geojson([], Mpp(1, 1)), np.zeros((1, 1, 3), np.uint8))


def measure_curves(folder):
    rows = []
    for index in range(2 * len(SPLITS)):
        write_slide(folder / "regions", f"s{index:02}", draw_region(index))
        label, split = ("dots", "stripes")[index % 2], SPLITS[index // 2]
        rows.append((f"s{index:02}", f"p{index}", f"s{index}.svs", label, split, ""))
    columns = ["slide_id", "patient_id", "path", "label", "split", "fold"]
    manifest = pd.DataFrame(rows, columns=columns)
    store, runs = RegionStore(folder / "regions"), folder / "runs"
    # at ten times this rate rounding alone moves the curves: Adam's first steps follow signs
    options = {"epochs": 3, "accumulate": 4, "device": "cpu", "learning_rate": 1e-4}
    made = [
        *teach(store, manifest, runs, TeachSettings(**options)),
        *distil(store, manifest, runs, DistilSettings(student_mag=2.5, **options)),
    ]
    return {
        run.name: {split: [entry[split] for entry in run.read_log()] for split in ("train", "val")}
        for run in made
    }


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    return measure_curves(tmp_path_factory.mktemp("curves"))


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("name", ["teacher-10x", "student-2.5x"])
def test_the_loss_curve_is_the_golden_one(curves, name, split):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[name][split]
    assert len(curves[name][split]) == len(golden) == 3
    for found, expected in zip(curves[name][split], golden, strict=True):
        # one thread, two, or another memory layout differ by up to 6e-5 of the loss's size
        assert found == pytest.approx(expected, rel=5e-4, abs=5e-4)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        found = measure_curves(Path(temporary))
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stderr.write(f"wrote {GOLDEN}\n")
