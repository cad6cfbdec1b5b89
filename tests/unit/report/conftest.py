import numpy as np
import pytest
from shapely import box as rectangle

from tests.builders import slide_record
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.store import SlideWriter, Source
from wsikd.tissue import to_geojson


def _estimate(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def _run(method, magnification, right, *, gflops, cheaper):
    metrics = dict.fromkeys(
        ("plain_accuracy", "accuracy", "f1", "precision", "recall"), _estimate(*right)
    )
    summary = {"count": 40, "patients": 20, "metrics": metrics, "confusion": [], "reason": None}
    name = method if magnification is None else f"{method}-{magnification:g}x"
    return {
        "name": name,
        "method": "control" if method.startswith("control") else method,
        "magnification": magnification,
        "seed": 0,
        "classes": ["a", "b"],
        "units": {"region": summary, "slide": summary, "patient": summary},
        "cost": {"gflops_per_slide": gflops, "times_cheaper_than_teacher": cheaper},
    }


def _difference(run, reference, *right):
    metrics = {"plain_accuracy": _estimate(*right)}
    return {"run": run, "reference": reference, "unit": "slide", "metrics": metrics}


@pytest.fixture
def metrics():
    """Numbers of a teacher, a baseline, two students and the controls."""
    return {
        "runs": [
            _run("teacher", 10.0, (0.9, 0.8, 0.96), gflops=640.0, cheaper=1.0),
            _run("baseline", 1.25, (0.6, 0.5, 0.7), gflops=10.0, cheaper=64.0),
            _run("student", 5.0, (0.88, 0.8, 0.95), gflops=160.0, cheaper=4.0),
            _run("student", 1.25, (0.8, 0.7, 0.9), gflops=10.0, cheaper=64.0),
            _run("control-colour", None, (0.4, 0.3, 0.5), gflops=0.0, cheaper=None),
            _run("control-majority", None, (0.3, 0.2, 0.4), gflops=0.0, cheaper=None),
        ],
        "differences": [
            _difference("student-5x", "teacher-10x", -0.02, -0.05, 0.01),
            _difference("student-1.25x", "teacher-10x", -0.1, -0.2, 0.02),
            _difference("student-1.25x", "baseline-1.25x", 0.2, 0.05, 0.3),
            _difference("student-1.25x", "control-colour", 0.4, None, None),
        ],
    }


@pytest.fixture
def write_slide():
    """Write a slide of 1 µm per pixel into a store: its regions at 10x and 1.25x."""

    def write(store, slide_id, sizes, *, pixels=None, outline=None):
        mpp = Mpp(1.0, 1.0)
        writer = SlideWriter(store, slide_id)
        regions, records = [], []
        for index, (width, height) in enumerate(sizes.values()):
            fine = np.full((height, width, 3), 200, np.uint8) if pixels is None else pixels
            levels = [
                PyramidLevel(10.0, Size(width, height), mpp),
                PyramidLevel(1.25, Size(width // 8, height // 8), Mpp(8.0, 8.0)),
            ]
            area = outline or rectangle(0, 0, width, height)
            region = TissueRegion(index, Region(0, 0, Size(width, height)), area)
            rows = [(0, fine), (1, fine[::8, ::8])]
            records.append(writer.write_region(region, mpp, levels, rows))
            regions.append(region)
        width, height = max(sizes.values())
        record = slide_record(
            slide_id,
            tuple(records),
            (width, height),
            mpp,
            reader_version="",
            source=Source(name=f"{slide_id}.tif", bytes=1, sha256=""),
        )
        thumbnail = np.full((height // 10, width // 10, 3), 255, np.uint8)
        writer.commit(record, to_geojson(regions, mpp), thumbnail)

    return write
