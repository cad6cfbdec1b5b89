"""Compare what the layers of runs represent, within and between ways of training.

Example: wsikd cka pair-downsample-vicreg-seed1 pair-symmetric-vicreg-seed2 --count 256
"""

from typing import Annotated

from cyclopts import Parameter

from wsikd.cli.console import Flat, InWorkspace, show
from wsikd.explain.similarity import CkaSettings, compare_runs
from wsikd.recipes import Footprint

FOOTPRINTS = {
    "cka": Footprint(
        reads=("slides.csv", "regions/*/slide.json"),
        runs=("runs",),
        writes=("runs/cka-*/cka.json",),
    )
}


def cka(
    runs: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    *,
    settings: Annotated[CkaSettings, Flat] = CkaSettings(),
    workspace: InWorkspace,
) -> int:
    """Compare what the layers of runs represent, within and between ways of training.

    Parameters
    ----------
    runs
        names of at least two runs, or patterns such as 'pair-*'; those that differ in their seed
        or fold only are one group
    """
    compared = compare_runs(runs, settings, workspace)
    show(compared.same_layers().to_string(index=False))
    for path in (compared.picture, compared.table, compared.summary):
        show(str(path))
    return 0
