"""The numbers of `metrics.json` as the page shows them, each with the note beside it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wsikd.evaluation import Estimate, Footnotes, Metrics
from wsikd.evaluation.aggregate import UNITS, Unit
from wsikd.evaluation.documents import EvaluatedRun
from wsikd.evaluation.tables import (
    format_difference,
    format_estimate,
    format_number,
    format_plain,
    format_saving,
)
from wsikd.report.words import run_title

_COLUMNS = {
    "plain_accuracy": "right",
    "recall": "balanced",
    "f1": "F1",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "ece": "ECE",
}
_ORDERED = {"quadratic_kappa": "kappa", "distance": "distance"}
_RELEASED = {"accuracy_as_released": "accuracy as released"}
_COMPARED = ("plain_accuracy", "recall", "f1", "accuracy", "auroc")
_OF_CLASSES = {"recall": "recall", "precision": "precision", "f1": "F1", "auroc": "AUROC"}
_UNKNOWN = Estimate(value=None, low=None, high=None)


class Cell(NamedTuple):
    """A number, its interval, and the mark and text of the note beside it."""

    value: str
    interval: str
    mark: str
    note: str


class _Cells:
    """Writes estimates and keeps the notes beside them."""

    def __init__(self) -> None:
        self.footnotes = Footnotes()

    def write(self, estimates: Mapping[str, Estimate], name: str, *, signed: bool = False) -> Cell:
        estimate = estimates.get(name, _UNKNOWN)
        written = format_difference if signed else format_estimate
        value, _, interval = (format_plain if name in _ORDERED else written)(estimate).partition(
            " "
        )
        mark = self.footnotes.mark(estimate.note).strip("[]")
        return Cell(value or "\N{EN DASH}", interval.strip("()"), mark, estimate.note or "")


def tables_of(metrics: Metrics) -> dict[str, Any]:
    """Arrange the numbers for the page's tables, and the notes that these mark."""
    columns = _COLUMNS | (_RELEASED if metrics.is_as_released else {})
    columns |= _ORDERED if metrics.is_ordered else {}
    cells = _Cells()
    return {
        "columns": list(columns.values()),
        "units": [
            (unit, [_row(run, unit, columns, cells) for run in metrics.runs])
            for unit in _units(metrics)
        ],
        "compared": [_COLUMNS[name] for name in _COMPARED],
        "differences": list(_differences(metrics, cells)),
        "class_columns": list(_OF_CLASSES.values()),
        "per_class": [_per_class(run, cells) for run in metrics.runs if _is_informative(run)],
        "confusions": [_confusion(run) for run in metrics.runs if _is_informative(run)],
        "footnotes": list(enumerate(cells.footnotes.texts, start=1)),
    }


def _units(metrics: Metrics) -> list[Unit]:
    """List the units worth a table: patients of one slide each would repeat the slides."""
    counts = [run.units for run in metrics.runs]
    repeated = all(one["slide"].count == one["patient"].count for one in counts)
    return [unit for unit in UNITS if unit != "patient" or not repeated]


def _row(
    run: EvaluatedRun, unit: Unit, columns: Mapping[str, str], cells: _Cells
) -> dict[str, Any]:
    summary = run.units[unit]
    return {
        "title": run_title(run),
        "method": run.method,
        "count": summary.count,
        "patients": summary.patients,
        "estimates": [cells.write(summary.metrics, name) for name in columns],
        "gflops": format_number(
            run.cost.gflops_per_region if unit == "region" else run.cost.gflops_per_slide
        ),
        "cheaper": format_saving(run.cost.times_cheaper_than_teacher),
    }


def _differences(metrics: Metrics, cells: _Cells) -> Iterator[dict[str, Any]]:
    titles = {run.name: run_title(run) for run in metrics.runs}
    for difference in metrics.differences:
        if difference.unit == "slide":
            yield {
                "run": titles[difference.run],
                "reference": titles[difference.reference],
                "estimates": [
                    cells.write(difference.metrics, name, signed=True) for name in _COMPARED
                ],
            }


def _per_class(run: EvaluatedRun, cells: _Cells) -> dict[str, Any]:
    return {
        "title": run_title(run),
        "method": run.method,
        "classes": [
            {
                "name": one.name,
                "count": one.count,
                "patients": one.patients,
                "estimates": [cells.write(one.metrics, name) for name in _OF_CLASSES],
            }
            for one in run.units["slide"].per_class
        ],
    }


def _is_informative(run: EvaluatedRun) -> bool:
    return bool(run.name != "control-majority")  # its matrix is one column


def _confusion(run: EvaluatedRun) -> dict[str, Any]:
    matrix = run.units["slide"].confusion
    rows = [
        {"label": label, "cells": [(count, count / max(1, sum(row))) for count in row]}
        for label, row in zip(run.classes, matrix, strict=True)
    ]
    return {"title": run_title(run), "classes": run.classes, "rows": rows}
