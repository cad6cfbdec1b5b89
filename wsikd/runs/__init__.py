"""Run folders, where learning and numbers meet: what runs are, can do, are called and found by."""

from wsikd.runs.find import (
    find_finished,
    find_of_fold,
    find_run,
    find_runs,
    is_pattern,
    runs_called,
)
from wsikd.runs.folder import Branch, Checkpoint, RunFolder, branch_path
from wsikd.runs.kinds import KINDS, METHODS, Kind, Method
from wsikd.runs.names import pooled_name, run_name
from wsikd.runs.predictions import PREDICTION_COLUMNS, probability_columns
from wsikd.runs.provenance import Provenance

__all__ = [
    "KINDS",
    "METHODS",
    "PREDICTION_COLUMNS",
    "Branch",
    "Checkpoint",
    "Kind",
    "Method",
    "Provenance",
    "RunFolder",
    "branch_path",
    "find_finished",
    "find_of_fold",
    "find_run",
    "find_runs",
    "is_pattern",
    "pooled_name",
    "probability_columns",
    "run_name",
    "runs_called",
]
