"""Deal the patients into training, validation and test, or into folds.

Example: wsikd split --folds 5
"""

from collections import Counter

from wsikd.cli.console import InWorkspace, show
from wsikd.recipes import Footprint
from wsikd.study import Study

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
    dealt = Study(workspace).split(folds, fractions, seed)
    column = "split" if folds is None else "fold"
    patients = dealt[dealt["split"] != "auxiliary"].drop_duplicates("patient_id")
    for name, count in sorted(Counter(patients[column]).items()):
        show(f"{column} {name}: {count} patients")
    return 0
