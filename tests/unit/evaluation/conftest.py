import numpy as np
import pandas as pd
import pytest
from shapely import box as rectangle

from tests.builders import slide_record
from wsikd.config import Settings
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.runs import Provenance, RunFolder, run_name
from wsikd.store import RegionStore, SlideWriter, Source

CLASSES = ("blue", "red")


@pytest.fixture
def manifest():
    """Twelve patients of one slide each, classes in turn, in three folds or all to be tested."""
    return pd.DataFrame(
        {
            "slide_id": [f"s{index:02d}" for index in range(12)],
            "patient_id": [f"p{index:02d}" for index in range(12)],
            "path": [f"s{index:02d}.svs" for index in range(12)],
            "label": [CLASSES[index % 2] for index in range(12)],
            "split": "test",  # of the runs without folds
            "fold": [str(index // 2 % 3) for index in range(12)],
        }
    )


@pytest.fixture
def write_run(tmp_path, manifest):
    """Write a run into `runs/` whose predictions are right except for the slides `wrong`."""

    def write(
        method, magnification, fold=None, *, wrong=(), without=(), gmacs=1.0, seed=0, complete=True
    ):
        name = run_name(method, magnification, fold=fold, seed=seed)
        run = RunFolder(tmp_path / "runs" / name)
        made = Provenance(
            name=name,
            method=method,
            magnification=magnification,
            fold=fold,
            seed=seed,
            classes=CLASSES,
        )
        run.start(Settings(), made)
        tested = manifest if fold is None else manifest[manifest["fold"] == str(fold)]
        tested = tested[~tested["slide_id"].isin(without)]
        table = tested[["slide_id", "patient_id", "label"]].assign(
            region_id="region-000", split="test", width=10, height=10, gmacs=gmacs
        )
        right = np.where(table["slide_id"].isin(wrong), 0.1, 0.9)
        blue = table["label"] == "blue"
        table["p_0"] = np.where(blue, right, 1 - right)
        table["p_1"] = 1 - table["p_0"]
        run.write_predictions(table)
        if complete:
            run.finish(seconds=1.0)
        return run

    return write


@pytest.fixture
def store(tmp_path, manifest):
    """A store whose regions are plain blue or plain red, as their label says."""
    colours = {"blue": (60, 60, 200), "red": (200, 60, 60)}
    for slide in manifest.itertuples():
        region = TissueRegion(0, Region(0, 0, Size(8, 8)), rectangle(0, 0, 8, 8))
        levels = [PyramidLevel(1.25, Size(8, 8), Mpp(8, 8))]
        pixels = np.full((8, 8, 3), colours[slide.label], np.uint8)
        writer = SlideWriter(tmp_path / "regions", slide.slide_id)
        written = writer.write_region(region, Mpp(8, 8), levels, [(0, pixels)])
        record = slide_record(
            slide.slide_id,
            (written,),
            (8, 8),
            (8.0, 8.0),
            reader_version="",
            source=Source(name=slide.path, bytes=1, sha256=""),
        )
        writer.commit(record, {"type": "FeatureCollection", "features": []}, pixels)
    return RegionStore(tmp_path / "regions")
