"""Find the tissue of slides and store it at every magnification.

Example: wsikd prepare slides/
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import pandas as pd

from wsikd.cli.console import Flat, InWorkspace, say, show
from wsikd.cohort.manifest import write_manifest
from wsikd.errors import NothingUsableError, ResumeError, SomeSlidesFailedError
from wsikd.prepare import PrepareSettings, SlideStatus, prepare_slides, take_in
from wsikd.recipes import Footprint

FOOTPRINTS = {"prepare": Footprint(writes=("slides.csv", "regions/*/slide.json"))}


def prepare(
    slides: Path | None = None,
    *,
    manifest: Path | None = None,
    settings: Annotated[PrepareSettings, Flat] = PrepareSettings(),
    workspace: InWorkspace,
) -> int:
    """Find the tissue of slides and store it at every magnification.

    Parameters
    ----------
    slides
        folder of slides; a CSV file in it is their manifest
    manifest
        table of slides, patients and labels, in place of a folder
    """
    table = take_in(workspace.manifest, slides, manifest)
    workspace.root.mkdir(parents=True, exist_ok=True)
    write_manifest(table, workspace.manifest)
    say(f"{len(table)} slides in {workspace.manifest}")
    progress = _Progress(len(table))
    done = prepare_slides(table, workspace.store, settings, progress, progress.warn)
    return _conclude(done, table, workspace.store / "status.csv")


class _Progress:
    def __init__(self, total: int) -> None:
        self.total, self.count = total, 0

    def __call__(self, status: SlideStatus) -> None:
        self.count += 1
        told = status.error or f"{status.regions} regions, {status.seconds:.1f} s"
        say(f"[{self.count}/{self.total}] {status.slide_id}: {status.status}, {told}")
        for warning in filter(None, status.warnings.split("; ")):
            say(f"    warning: {warning}")

    def warn(self, text: str) -> None:
        say(f"warning: {text}")


def _conclude(done: list[SlideStatus], table: pd.DataFrame, status_path: Path) -> int:
    counts = Counter(status.status for status in done)
    failed = [status for status in done if status.status == "failed"]
    regions = sum(status.regions for status in done if status.status != "failed")
    show(
        f"{counts['done']} slides prepared, {counts['skipped']} were complete, "
        f"{len(failed)} failed; {regions} regions; see {status_path}"
    )
    for column in ("patient_id", "label"):
        empty = int(((table[column] == "") & (table["split"] != "auxiliary")).sum())
        if empty:
            say(f"next: fill in the column {column} of {empty} slides in slides.csv")
    if failed and all(status.refused for status in failed):
        raise ResumeError(f"{status_path}: {len(failed)} slides refused; {failed[0].error}")
    if len(failed) == len(done):
        raise NothingUsableError(f"{status_path}: all {len(done)} slides failed")
    if failed:
        raise SomeSlidesFailedError(f"{status_path}: {len(failed)} slides failed; see error")
    return 0
