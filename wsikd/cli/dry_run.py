"""What `wsikd prepare --dry-run` says: what would be written and left out, slide by slide."""

import shutil
from collections import defaultdict
from pathlib import Path

from wsikd.cli.console import say, show
from wsikd.errors import NothingUsableError, SomeSlidesFailedError
from wsikd.geometry import format_magnification
from wsikd.prepare import PrepareSettings, SlidePlan, add_up, plan_slides, take_in
from wsikd.words import bytes_text, counted, pixels_text, time_text
from wsikd.workspace import Workspace


def tell_plans(
    slides: Path | None, manifest: Path | None, settings: PrepareSettings, workspace: Workspace
) -> int:
    """Show a line for each slide, then the total; nothing is written.

    Raises
    ------
    SomeSlidesFailedError, NothingUsableError
        If some slides, or all, would fail.
    """
    table = take_in(workspace.manifest, slides, manifest, lambda note: say(f"note: {note}"))
    plans = plan_slides(table, workspace.store, settings, on_done=_tell)
    _tell_total(plans, settings, workspace.store)
    failed = [plan for plan in plans if plan.status == "failed"]
    if failed and len(failed) == len(plans):
        raise NothingUsableError(f"all {len(plans)} slides would fail; see above")
    if failed:
        raise SomeSlidesFailedError(f"{len(failed)} of {len(plans)} slides would fail; see above")
    return 0


def _tell(plan: SlidePlan) -> None:
    estimate = plan.estimate
    if plan.status == "failed":
        show(f"{plan.slide_id}: would fail, {plan.error}")
    elif estimate is None:
        show(f"{plan.slide_id}: complete, nothing to do")
    else:
        show(
            f"{plan.slide_id}: {counted(estimate.regions, 'region')}, "
            f"{pixels_text(estimate.region_pixels)}, about {bytes_text(estimate.bytes)} and "
            f"{time_text(estimate.seconds)}; left out: {'; '.join(estimate.left_out) or 'nothing'}"
        )
    for warning in plan.warnings:
        say(f"    warning: {warning}")


def _tell_total(plans: list[SlidePlan], settings: PrepareSettings, store: Path) -> None:
    total = add_up(plans, settings)
    sizes: dict[float, int] = defaultdict(int)
    for plan in plans:
        for level in plan.estimate.levels if plan.estimate else ():
            sizes[level.magnification] += level.bytes
    each = ", ".join(
        f"{format_magnification(mag)} {bytes_text(sizes[mag])}" for mag in sorted(sizes)[::-1]
    )
    show(
        f"in all {counted(total.to_do, 'slide')} to prepare, {total.complete} complete, "
        f"{total.failed} would fail; {counted(total.regions, 'region')}, "
        f"{pixels_text(total.region_pixels)}"
    )
    if total.to_do:
        show(
            f"about {bytes_text(total.bytes)} ({each}) and {time_text(total.seconds)} on this "
            f"machine, {counted(total.workers, 'slide')} at once"
        )
        say("sizes and times are estimates, by a few samples of each slide")
    say("nothing was written")
    free = shutil.disk_usage(_nearest(store)).free
    if total.bytes > free:
        say(f"warning: {store}: only {bytes_text(free)} are free there")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the one nearest to it that is there."""
    return next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()
    )
