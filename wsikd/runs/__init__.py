"""The run folder, where learning and numbers meet: what a run is, how it is called and found."""

from wsikd.runs.folder import (
    METHODS,
    PREDICTION_COLUMNS,
    Branch,
    Checkpoint,
    Method,
    Provenance,
    RunFolder,
    branch_path,
    find_runs,
    probability_columns,
)
from wsikd.runs.names import pooled_name, run_name

__all__ = [
    "METHODS",
    "PREDICTION_COLUMNS",
    "Branch",
    "Checkpoint",
    "Method",
    "Provenance",
    "RunFolder",
    "branch_path",
    "find_runs",
    "pooled_name",
    "probability_columns",
    "run_name",
]
