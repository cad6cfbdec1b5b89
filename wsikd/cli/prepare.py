"""Find the tissue of slides and store it at every magnification.

Example: wsikd prepare slides/
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import pandas as pd
from cyclopts import Parameter

from wsikd.cli.console import Flat, InWorkspace, show
from wsikd.cli.dry_run import tell_plans
from wsikd.cli.progress import BatchProgress
from wsikd.cli.streams import say_if_heard as say
from wsikd.errors import BusyError, NothingUsableError, ResumeError, SomeSlidesFailedError
from wsikd.prepare import PrepareSettings, SlideStatus
from wsikd.recipes import Footprint
from wsikd.study import Study
from wsikd.words import counted

FOOTPRINTS = {
    "prepare": Footprint(tables=("manifest",), writes=("slides.csv", "regions/*/slide.json"))
}


def prepare(
    slides: Path | None = None,
    *,
    manifest: Path | None = None,
    settings: Annotated[PrepareSettings, Flat] = PrepareSettings(),
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    workspace: InWorkspace,
) -> int:
    """Find the tissue of slides and store it at every magnification.

    Parameters
    ----------
    slides
        folder of slides; a CSV file in it is their manifest
    manifest
        table of slides, patients and labels, in place of a folder
    dry_run
        tell what would be written and left out, and about how long it takes; write nothing
    """
    if dry_run:
        return tell_plans(slides, manifest, settings, workspace)
    with BatchProgress() as progress:
        study = Study(workspace, say=progress.say)
        done = study.prepare(
            slides, manifest=manifest, settings=settings, on_done=progress, on_start=progress.expect
        )
    return _conclude(done, study.manifest, workspace.store / "status.csv")


def _conclude(done: list[SlideStatus], table: pd.DataFrame, status_path: Path) -> int:
    counts = Counter(status.status for status in done)
    failed, busy = ([one for one in done if one.status == word] for word in ("failed", "busy"))
    regions = sum(status.regions for status in done if status.status in ("done", "skipped"))
    left = f", {len(busy)} left to other processes" if busy else ""
    show(
        f"{counted(counts['done'], 'slide')} prepared, {counts['skipped']} were complete, "
        f"{len(failed)} failed{left}; {counted(regions, 'region')}; see {status_path}"
    )
    for column in ("patient_id", "label"):
        empty = int(((table[column] == "") & (table["split"] != "auxiliary")).sum())
        if empty:
            said = counted(empty, "slide")
            say(f"next: fill in the column {column} of {said} in slides.csv")
    if busy:
        raise BusyError(f"{counted(len(busy), 'slide')} left to other processes; {busy[0].error}")
    told = counted(len(failed), "slide")
    if failed and all(status.refused for status in failed):
        raise ResumeError(f"{status_path}: {told} refused; {failed[0].error}")
    if failed and len(failed) == len(done):
        raise NothingUsableError(f"{status_path}: all {told} failed")
    if failed:
        raise SomeSlidesFailedError(f"{status_path}: {told} failed; see error")
    return 0
