"""Examine whether this machine has what wsikd needs, and say what to do.

Example: wsikd doctor --json
"""

from typing import Annotated

from cyclopts import Parameter

from wsikd.cli.console import InWorkspace, show, show_json
from wsikd.doctor import examine


def doctor(*, json: Annotated[bool, Parameter(negative=())] = False, workspace: InWorkspace) -> int:
    """Examine whether this machine has what wsikd needs, and say what to do.

    Parameters
    ----------
    json
        print JSON for machines
    """
    findings = []
    for finding in examine(workspace.root):
        findings.append(finding)
        if not json:
            show(str(finding))
    if json:
        show_json([finding.model_dump() for finding in findings])
    return int(any(finding.state == "wrong" for finding in findings))
