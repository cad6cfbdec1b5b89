"""Examine prepared regions for damage, and say what is wrong and how to mend it.

Example: wsikd check regions --json
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wsikd.cli.console import InWorkspace, say, show, show_json
from wsikd.errors import NothingUsableError, SomeSlidesFailedError
from wsikd.prepare.examine import examine_store


def check(
    regions: Path | None = None,
    /,
    *,
    json: Annotated[bool, Parameter(negative=())] = False,
    workspace: InWorkspace,
) -> None:
    """Examine prepared regions for damage, and say what is wrong and how to mend it.

    Parameters
    ----------
    regions
        folder that wsikd prepare wrote; unset: that of the workspace
    json
        print JSON for machines
    """
    store, examined = regions or workspace.store, list[str]()

    def count(slide_id: str) -> None:
        examined.append(slide_id)
        say(f"[{len(examined)}] {slide_id}")

    findings = []
    for finding in examine_store(store, count):
        findings.append(finding)
        if not json:
            show(str(finding))
    if json:
        show_json([finding.model_dump() for finding in findings])
    wrong = {finding.slide_id for finding in findings if finding.state == "wrong"}
    if not wrong:
        say(f"{store}: {len(examined)} slides are as they were written")
    elif wrong >= set(examined):
        raise NothingUsableError(f"{store}: all {len(examined)} slides are damaged")
    else:
        raise SomeSlidesFailedError(f"{store}: {len(wrong)} of {len(examined)} slides are damaged")
