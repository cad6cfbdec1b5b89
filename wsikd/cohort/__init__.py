"""Who the slides are of, and who may be tested on what: the manifest, its labels and its splits."""

from wsikd.cohort.manifest import manifest_from_folder, read_manifest, write_manifest
from wsikd.cohort.splits import (
    assign_folds,
    check_no_leak,
    classes_of,
    fold_count,
    split_by_patient,
    splits_of_fold,
)

__all__ = [
    "assign_folds",
    "check_no_leak",
    "classes_of",
    "fold_count",
    "manifest_from_folder",
    "read_manifest",
    "split_by_patient",
    "splits_of_fold",
    "write_manifest",
]
