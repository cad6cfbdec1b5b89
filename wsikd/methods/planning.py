"""Planning a training: what it will compute, and what that takes, before it is begun."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import pandas as pd

from wsikd.errors import CheckpointError
from wsikd.methods.carry_out import SettingsType
from wsikd.methods.forecast import Forecast, NetworkForecast
from wsikd.methods.method import Part, Plan
from wsikd.methods.region_inputs import Inputs, folds_of, read_inputs
from wsikd.methods.speed import measure
from wsikd.methods.work import Work, foresee, made_room
from wsikd.runs import run_name
from wsikd.training.machine import Machine
from wsikd.training.memory import policies_of, predict_peak

if TYPE_CHECKING:
    from wsikd.store import RegionStore


@dataclass(frozen=True)
class Planned(Generic[SettingsType]):
    """What a method would be carried out with.

    Attributes
    ----------
    each : sequence of TrainingSettings
        Of the runs that are trained side by side.
    plan : callable
        The method, as `carry_out` takes it.
    assume : callable
        Returns the networks if a run that it starts from is not there yet.
    learns_from : tuple of str
        The splits it learns from.
    """

    each: Sequence[SettingsType]
    plan: Callable[[Inputs, SettingsType], Plan]
    assume: Callable[[SettingsType], tuple[Part, ...]]
    learns_from: tuple[str, ...] = ("train",)


def plan_training(
    store: "RegionStore",
    manifest: pd.DataFrame,
    planned: Planned[SettingsType],
    *,
    seconds: float,
) -> list[Forecast]:
    """Say what a training would compute, fold by fold; no pixel of a region is read.

    Parameters
    ----------
    store : RegionStore
        Its records are read alone.
    manifest : DataFrame
        Slides, labels and splits or folds.
    planned : Planned
        The method.
    seconds : float
        To measure the time for, on images of noise; 0 leaves it out.

    Raises
    ------
    StoreError
        If a magnification was not prepared.
    TooLargeError
        If a region is too large, however its network is computed.
    """
    made = []
    for fold in folds_of(manifest, planned.each[0].fold):
        inputs = read_inputs(store, manifest, fold)
        each = [one.model_copy(update={"fold": fold}) for one in planned.each]
        made.append(_foresee(inputs, each, planned, seconds))
    return made


def _foresee(
    inputs: Inputs, each: Sequence[SettingsType], planned: Planned[SettingsType], seconds: float
) -> Forecast:
    """Say what the runs of a fold that are trained side by side would compute."""
    settings, notes = each[0], list[str]()
    parts: dict[Part, None] = {}
    learns_from = planned.learns_from
    for one in each:
        try:
            found = planned.plan(inputs, one).parts
        except CheckpointError as error:
            found = planned.assume(one)
            architectures = ", ".join(dict.fromkeys(part.architecture for part in found))
            notes.append(f"{error}; taken to be a {architectures} till then")
        parts |= dict.fromkeys(found)
    for part in parts:
        inputs.check_prepared(part.magnification, with_auxiliary="auxiliary" in learns_from)
    machine = Machine.of(settings)
    work = Work(inputs, learns_from, tuple(parts), machine.way)
    first = work.parts[0]
    name = settings.name or first.role
    reads = first.magnification if settings.name is None else None
    run = run_name(name, reads, settings.fold, settings.seed)
    with made_room(work, settings, machine) as room:
        forecast = foresee(run, settings, work, machine, room)
        update: dict[str, Any] = {
            "notes": (*dict.fromkeys(notes), *forecast.notes),
            "networks": tuple(_with_peaks(forecast, work)),
        }
        if seconds:
            duration = measure(settings, work, machine, seconds)
            update |= {"seconds": duration.epoch, "hours": duration.all / 3600}
    return forecast.model_copy(update=update)


def _with_peaks(forecast: Forecast, work: Work) -> Iterator[NetworkForecast]:
    """Yield what each network takes by every policy; to count that takes seconds."""
    sizes = next(work.sizes(item) for item in work.learnt if item.name == forecast.largest)
    for part, told in zip(work.parts, forecast.networks, strict=True):
        network, size = work.network(part), sizes[part.magnification]
        peaks = {
            policy: predict_peak(network, size, policy, training=part.learns)
            for policy in policies_of(network, training=part.learns)
        }
        yield told.model_copy(update={"peak_bytes": peaks})
