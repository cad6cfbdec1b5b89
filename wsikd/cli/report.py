"""Write one HTML page on the slides and the runs.

Example: wsikd report
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wsikd.cli.console import InWorkspace, say, show
from wsikd.recipes import Footprint
from wsikd.study import Study

FOOTPRINTS = {
    "report": Footprint(
        reads=(
            "slides.csv",
            "runs/metrics.json",
            "runs/*/run.json",
            "runs/*/log.jsonl",
            "runs/*/explain/*.png",
            "regions/status.csv",
        ),
        writes=("report.html",),
        outputs=("output",),
    )
}


def report(
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    workspace: InWorkspace,
) -> int:
    """Write one HTML page on the slides and the runs.

    Parameters
    ----------
    output
        the page; report.html in the workspace if unset
    """
    show(str(Study(workspace, say=say).report(output)))
    return 0
