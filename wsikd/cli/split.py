"""Deal the patients into training, validation and test, or into folds.

Example: wsikd split --folds 5
"""

from collections import Counter

from wsikd.cli.console import InWorkspace, show
from wsikd.cohort.manifest import read_manifest, write_manifest
from wsikd.cohort.splits import assign_folds, split_by_patient
from wsikd.recipes import Footprint

FOOTPRINTS = {"split": Footprint(reads=("slides.csv",), writes=("slides.csv",))}


def split(
    *,
    folds: int | None = None,
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 0,
    workspace: InWorkspace,
) -> int:
    """Deal the patients into training, validation and test, or into folds.

    Parameters
    ----------
    folds
        number of folds, for small cohorts; each is tested once
    fractions
        of the patients for train, val and test
    seed
        of the shuffling
    """
    table = read_manifest(workspace.manifest)
    if folds is None:
        dealt, column = split_by_patient(table, fractions, seed), "split"
    else:
        dealt, column = assign_folds(table, folds, seed), "fold"
    write_manifest(dealt, workspace.manifest)
    patients = dealt[dealt["split"] != "auxiliary"].drop_duplicates("patient_id")
    for name, count in sorted(Counter(patients[column]).items()):
        show(f"{column} {name}: {count} patients")
    return 0
