"""Numbers from tables of predictions: metrics, intervals, comparisons, controls, cost."""

from wsikd.evaluation.evaluate import EvaluateSettings, evaluate_runs, read_metrics
from wsikd.evaluation.tables import difference_table, metrics_table, summary_table

__all__ = [
    "EvaluateSettings",
    "difference_table",
    "evaluate_runs",
    "metrics_table",
    "read_metrics",
    "summary_table",
]
