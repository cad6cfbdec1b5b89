"""Say what a training would compute, and the memory and time it would take.

Example: wsikd plan teach
Example: wsikd plan distil --student-mag 5 2.5 1.25 && wsikd plan finetune --student-mag 1.25
"""

import math
from typing import Annotated, Literal

from cyclopts import Parameter

from wsikd.cli.console import Flat, InWorkspace, say, show, show_json
from wsikd.geometry import format_magnification
from wsikd.methods.distil_settings import DistilSettings
from wsikd.methods.finetune import FinetuneSettings
from wsikd.methods.forecast import Forecast, NetworkForecast
from wsikd.methods.teach import TeachSettings
from wsikd.study import Study
from wsikd.training.settings import TrainingSettings
from wsikd.words import bytes_text, time_text
from wsikd.workspace import Workspace

Seconds = Annotated[
    float, Parameter(help="to measure how fast this machine is, on noise; 0: say no times")
]
Json = Annotated[bool, Parameter(help="print all numbers as JSON, one document for each fold")]


def teach(
    *,
    json: Json = False,
    seconds: Seconds = 10.0,
    settings: Annotated[TeachSettings, Flat] = TeachSettings(),
    workspace: InWorkspace,
) -> int:
    """Say what wsikd teach would compute, and the memory and time it would take."""
    return _plan("teach", settings, workspace, seconds, as_json=json)


def distil(
    *,
    json: Json = False,
    seconds: Seconds = 10.0,
    settings: Annotated[DistilSettings, Flat],
    workspace: InWorkspace,
) -> int:
    """Say what wsikd distil would compute, and the memory and time it would take."""
    return _plan("distil", settings, workspace, seconds, as_json=json)


def finetune(
    *,
    json: Json = False,
    seconds: Seconds = 10.0,
    settings: Annotated[FinetuneSettings, Flat],
    workspace: InWorkspace,
) -> int:
    """Say what wsikd finetune would compute, and the memory and time it would take."""
    return _plan("finetune", settings, workspace, seconds, as_json=json)


def _plan(
    command: Literal["teach", "distil", "finetune"],
    settings: TrainingSettings,
    workspace: Workspace,
    seconds: float,
    *,
    as_json: bool,
) -> int:
    forecasts = Study(workspace, say=say).plan(command, settings, seconds=seconds)
    if as_json:
        show_json([forecast.model_dump(mode="json") for forecast in forecasts])
        return 0
    for forecast in forecasts:
        _tell(forecast)
    if len(forecasts) > 1 and seconds:
        hours = sum(forecast.hours or 0 for forecast in forecasts)
        show(f"in all about {time_text(3600 * hours)}")
    return 0


def _tell(forecast: Forecast) -> None:
    show(forecast.run)
    for line in forecast.lines():
        show(f"  {line}")
    width, height = forecast.largest_size
    show(f"  largest region: {forecast.largest}, {width:,} x {height:,} pixels")
    for network in forecast.networks:
        show(f"  {_describe(network)}")
    if forecast.cache_bytes:
        show(f"  the teacher's answers take {bytes_text(forecast.cache_bytes)} of cache/")
    if forecast.seconds is not None and forecast.hours is not None:
        show(
            f"  takes about {time_text(3600 * forecast.hours)}, {_short(forecast.seconds)} an epoch"
        )
    for note in forecast.notes:
        say(f"note: {note}")


def _short(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else time_text(seconds)


def _describe(network: NetworkForecast) -> str:
    """Return how a network is computed, and what the largest region takes by each policy."""
    does = "learns" if network.learns else "is read"
    if network.views is not None:
        does = f"is asked once about {network.views} views"
    peaks, least = [], math.inf
    for policy, peak in network.peak_bytes.items():
        if peak < least:  # one that is slower and takes more is never chosen
            least = peak
            peaks.append(f"{bytes_text(peak)} {policy}")
    return (
        f"{network.role} at {format_magnification(network.magnification)}, "
        f"{network.architecture}, {does}: {_counts(network.policies)}; the largest takes "
        f"{', '.join(peaks)}"
    )


def _counts(policies: dict[str, int]) -> str:
    return ", ".join(f"{count} {policy}" for policy, count in policies.items())
