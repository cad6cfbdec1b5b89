"""Show the whole job on drawn slides, in a few minutes.

Example: wsikd demo --workspace demo
"""

import time

from wsikd.cli import execute
from wsikd.cli.console import InWorkspace, say, show
from wsikd.workspace import Workspace


def demo(*, workspace: InWorkspace) -> int:
    """Show the whole job on drawn slides, in a few minutes.

    Draws slides, then prepares, splits, teaches, trains a baseline, distils, evaluates and reports;
    in the folder demo/ unless --workspace names another. Run again, it goes on where it was.
    """
    start = time.monotonic()
    root = workspace.root / "demo" if workspace == Workspace.here() else workspace.root
    status = execute(["run", "demo", "--workspace", str(root)])
    say(f"the whole job took {time.monotonic() - start:.0f} s")
    show(f"report: {root / 'report.html'}")
    return status
