"""Score what a classifier reads from frozen encoders, beside colour alone.

Example: wsikd probe pair-downsample-10x --fractions 1 100
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, show_json, show_tables
from wsikd.data.patches import PatchSettings
from wsikd.evaluation import Footnotes
from wsikd.evaluation.seed_tables import seeds_differences, seeds_summary
from wsikd.evaluation.seeds import SeedSettings
from wsikd.probing.probe import ProbeMetrics
from wsikd.probing.probe import probe as score
from wsikd.probing.settings import ProbeSettings
from wsikd.recipes import Footprint
from wsikd.training.determinism import deterministic
from wsikd.training.distributed import is_first, joined

FOOTPRINTS = {
    "probe": Footprint(
        reads=("slides.csv", "regions/*/slide.json"),
        runs=("runs",),
        writes=("runs/probe-metrics*.json",),
    )
}


def probe(
    runs: tuple[str, ...],
    *,
    json: bool = False,
    settings: Annotated[ProbeSettings, Flat] = ProbeSettings(),
    patches: Annotated[PatchSettings | None, Flat] = None,
    seeds: Annotated[SeedSettings, Flat] = SeedSettings(),
    workspace: InWorkspace,
) -> int:
    """Score what a classifier reads from frozen encoders, beside colour alone.

    Parameters
    ----------
    runs
        runs with an encoder, with or without fold, or patterns such as 'pair-*'
    json
        print all numbers as JSON, as they are in runs/probe-metrics.json
    """
    with deterministic(asked=settings.deterministic), joined(settings.device):
        result = score(workspace, runs, settings, patches, seeds)
        if is_first():
            _tell(result, as_json=json)
    return 0


def _tell(result: ProbeMetrics, *, as_json: bool) -> None:
    if as_json:
        show_json(result.model_dump(mode="json"))
    else:
        footnotes = Footnotes()
        tables = (
            seeds_summary(result.arms, footnotes),
            seeds_differences(result.differences, footnotes),
        )
        show_tables(*tables, footnotes=footnotes.lines)
    for note in result.notes:
        say(f"note: {note}")
