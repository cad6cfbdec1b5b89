"""Show what the network of a run looks at, layer by layer, or two side by side.

Example: wsikd explain pair-downsample-vicreg pair-symmetric-vicreg --shown 4
"""

from typing import Annotated

from wsikd.cli.console import Flat, InWorkspace, say, show
from wsikd.explain.saliency import ExplainSettings, explain_runs
from wsikd.recipes import Footprint

FOOTPRINTS = {
    "explain": Footprint(
        reads=("slides.csv", "regions/*/slide.json"),
        runs=("run", "other"),
        writes=("runs/*/explain/*.json",),
    )
}


def explain(
    run: str,
    other: str | None = None,
    *,
    settings: Annotated[ExplainSettings, Flat] = ExplainSettings(),
    workspace: InWorkspace,
) -> int:
    """Show what the network of a run looks at, layer by layer, or two side by side.

    Parameters
    ----------
    run
        name of the run
    other
        run to show beside it, on the same patches
    """
    names = [run] if other is None else [run, other]
    explained = explain_runs(names, settings, workspace)
    for name, about in explained.abouts.items():
        say(f"{name}: maps are about {about}")
    show(explained.means.reset_index().to_string(index=False, float_format="%.2f"))
    for path in (explained.picture, explained.table, explained.summary):
        show(str(path))
    return 0
