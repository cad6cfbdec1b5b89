import pytest

from tests.builders import write_plain_slide
from wsikd.evaluation import Metrics


def _estimate(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def _run(method, magnification, right, *, gflops, cheaper, teacher="teacher-10x"):
    metrics = dict.fromkeys(
        ("plain_accuracy", "accuracy", "f1", "precision", "recall"), _estimate(*right)
    )
    summary = {"count": 40, "patients": 20, "mixed_labels": 0, "metrics": metrics}
    summary |= {"confusion": [[16, 4], [4, 16]], "reason": None}
    name = method if magnification is None else f"{method}-{magnification:g}x"
    return {
        "name": name,
        "method": "control" if method.startswith("control") else method,
        "magnification": magnification,
        "seed": 0,
        "folds": [],
        "classes": ["a", "b"],
        "teacher": None if cheaper is None else teacher,
        "units": {"region": summary, "slide": summary, "patient": summary},
        "cost": {
            "gmacs_per_region": gflops / 2,
            "gmacs_per_slide": gflops / 2,
            "gflops_per_region": gflops,
            "gflops_per_slide": gflops,
            "times_cheaper_than_teacher": cheaper,
        },
    }


def _difference(run, reference, *right):
    metrics = {"plain_accuracy": _estimate(*right)}
    about = {"count": 40, "patients": 20, "reason": None}
    return {"run": run, "reference": reference, "unit": "slide", "metrics": metrics} | about


@pytest.fixture
def metrics():
    """Numbers of a teacher, a baseline, two students and the controls."""
    return Metrics(
        settings={"checkpoint": "best", "split": "test"},
        left_out=[],
        notes=[],
        runs=[
            _run("teacher", 10.0, (0.9, 0.8, 0.96), gflops=640.0, cheaper=1.0),
            _run("baseline", 1.25, (0.6, 0.5, 0.7), gflops=10.0, cheaper=64.0),
            _run("student", 5.0, (0.88, 0.8, 0.95), gflops=160.0, cheaper=4.0),
            _run("student", 1.25, (0.8, 0.7, 0.9), gflops=10.0, cheaper=64.0),
            _run("control-colour", None, (0.4, 0.3, 0.5), gflops=0.0, cheaper=None),
            _run("control-majority", None, (0.3, 0.2, 0.4), gflops=0.0, cheaper=None),
        ],
        differences=[
            _difference("student-5x", "teacher-10x", -0.02, -0.05, 0.01),
            _difference("student-1.25x", "teacher-10x", -0.1, -0.2, 0.02),
            _difference("student-1.25x", "baseline-1.25x", 0.2, 0.05, 0.3),
            _difference("student-1.25x", "control-colour", 0.4, None, None),
        ],
    )


@pytest.fixture
def changed(metrics):
    """Change the numbers of `metrics` as a mapping."""

    def change(how):
        values = metrics.model_dump()
        how(values)
        return Metrics(**values)

    return change


@pytest.fixture
def write_slide():
    """Write a slide of 1 µm per pixel into a store: its regions at 10x and 1.25x."""
    return write_plain_slide
