"""Predictions to numbers: metrics, intervals over patients, folds and seeds together, tables."""

from wsikd.evaluation.documents import Estimate, Metrics, read_metrics
from wsikd.evaluation.evaluate import ControlSettings, EvaluateSettings, evaluate_runs
from wsikd.evaluation.notes import Footnotes
from wsikd.evaluation.tables import (
    detail_table,
    difference_table,
    metrics_table,
    summary_table,
)

__all__ = [
    "ControlSettings",
    "Estimate",
    "EvaluateSettings",
    "Footnotes",
    "Metrics",
    "detail_table",
    "difference_table",
    "evaluate_runs",
    "metrics_table",
    "read_metrics",
    "summary_table",
]
