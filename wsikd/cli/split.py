"""Deal the patients into training, validation and test, or into folds.

Example: wsikd split --folds 5
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, show
from wsikd.cohort import SplitSettings, site_of_fold
from wsikd.recipes import Footprint
from wsikd.study import Study

FOOTPRINTS = {"split": Footprint(reads=("slides.csv",), writes=("slides.csv",))}


def split(
    *,
    settings: Annotated[SplitSettings, Flat] = SplitSettings(),
    workspace: InWorkspace,
) -> int:
    """Deal the patients into training, validation and test, or into folds."""
    dealt = Study(workspace, say=say).split(settings)
    column, sites = "fold" if (dealt["fold"] != "").any() else "split", site_of_fold(dealt)
    patients = dealt[(dealt[column] != "") & (dealt["split"] != "auxiliary")]
    counts = patients.drop_duplicates("patient_id")[column].value_counts()
    for name, count in sorted(counts.items()):
        site = f", site {sites[name]}" if name in sites else ""
        show(f"{column} {name}: {count} patients{site}")
    if auxiliary := int((dealt["split"] == "auxiliary").sum()):
        show(f"auxiliary: {auxiliary} slides")
    return 0
