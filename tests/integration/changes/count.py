"""Count the slides of each class.

Example: wsikd count
"""

from collections import Counter

from wsikd.cli.console import InWorkspace, show
from wsikd.cohort.manifest import read_manifest


def count(*, workspace: InWorkspace) -> int:
    """Count the slides of each class."""
    for label, slides in sorted(Counter(read_manifest(workspace.manifest)["label"]).items()):
        show(f"{label}: {slides} slides")
    return 0
