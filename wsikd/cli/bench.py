"""Measure how near to its limits this machine computes networks.

Example: wsikd bench --models resnet18 --side 1024 --seconds 3 --json
"""

from typing import Annotated

from cyclopts import Parameter

from wsikd.bench import BenchSettings, describe_machine
from wsikd.bench import bench as measure
from wsikd.cli.console import Flat, show, show_json
from wsikd.training.machine import Machine


def bench(
    *,
    json: Annotated[bool, Parameter(negative=())] = False,
    settings: Annotated[BenchSettings, Flat] = BenchSettings(),
) -> int:
    """Measure how near to its limits this machine computes networks.

    Parameters
    ----------
    json
        print JSON for machines
    """
    machine = Machine.find(settings.device, precision=settings.precision, kernels=settings.kernels)
    about, rows = describe_machine(machine), []
    if not json:
        show(about)
    for row in measure(settings, machine):
        rows.append(row)
        if not json:
            show(str(row))
    if json:
        show_json({"machine": about, "rows": [row.model_dump() for row in rows]})
    return 0
