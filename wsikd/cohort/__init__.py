"""Who the slides are of, and who may be tested on what: the manifest, its labels and its splits."""

from wsikd.cohort.dealing import SplitSettings, about_cohort, about_splits, deal
from wsikd.cohort.doubts import find_doubts
from wsikd.cohort.manifest import manifest_from_folder, read_manifest, write_manifest
from wsikd.cohort.sites import assign_site_folds, site_of_fold
from wsikd.cohort.splits import (
    assign_folds,
    check_no_leak,
    classes_of,
    fold_count,
    is_split,
    split_by_patient,
    splits_of_fold,
)
from wsikd.cohort.unlabelled import Unlabelled, about_unlabelled

__all__ = [
    "SplitSettings",
    "Unlabelled",
    "about_cohort",
    "about_splits",
    "about_unlabelled",
    "assign_folds",
    "assign_site_folds",
    "check_no_leak",
    "classes_of",
    "deal",
    "find_doubts",
    "fold_count",
    "is_split",
    "manifest_from_folder",
    "read_manifest",
    "site_of_fold",
    "split_by_patient",
    "splits_of_fold",
    "write_manifest",
]
