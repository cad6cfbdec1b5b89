"""Write one HTML page on the slides and the runs.

Example: wsikd report
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wsikd.cli.console import InWorkspace, say, show
from wsikd.cli.hand_over import make_pictures
from wsikd.cohort.manifest import read_manifest
from wsikd.recipes import Footprint
from wsikd.report import write_report

FOOTPRINTS = {
    "report": Footprint(
        reads=("slides.csv", "runs/metrics.json", "regions/status.csv"),
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
    path = output or workspace.report
    manifest = read_manifest(workspace.manifest)
    for note in make_pictures(workspace, manifest):
        say(f"note: {note}")
    write_report(workspace.runs, manifest, path)
    show(str(path))
    return 0
