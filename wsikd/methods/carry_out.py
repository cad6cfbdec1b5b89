"""Carrying out a method, fold by fold: training, predictions, and what the numbers need beside.

A method fills in a `Plan`; all else is alike for every method that learns from whole regions.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from wsikd.cohort.manifest import source_of
from wsikd.losses.classification import balanced_weights
from wsikd.methods.hand_over import hand_over
from wsikd.methods.method import Method, Plan
from wsikd.methods.region_inputs import begin, folds_of, read_inputs
from wsikd.methods.seen import Past, look_back, seen_slides
from wsikd.methods.train_runs import train
from wsikd.methods.work import Work
from wsikd.training.determinism import deterministic
from wsikd.training.device import Way, choose_device
from wsikd.training.display import Display
from wsikd.training.distributed import first_alone, held_by_first, is_first
from wsikd.training.machine import Machine
from wsikd.training.settings import TrainingSettings

if TYPE_CHECKING:
    from wsikd.methods.region_inputs import Inputs
    from wsikd.runs import RunFolder
    from wsikd.store import RegionStore

SettingsType = TypeVar("SettingsType", bound=TrainingSettings)


def carry_out(
    store: "RegionStore",
    manifest: pd.DataFrame,
    runs: Path,
    each: Sequence[SettingsType],
    plan: "Callable[[Inputs, SettingsType], Plan]",
) -> "list[RunFolder]":
    """Carry out a method for one fold or for each in turn; what is done is not redone.

    Inside `wsikd.training.distributed.joined` all processes that torchrun started train together;
    the first alone writes.

    Parameters
    ----------
    store : RegionStore
        Holds the regions.
    manifest : DataFrame
        Slides, labels and splits or folds.
    runs : Path
        Folder of all runs. It gets the controls of these folds and the report's pictures as well,
        which are made of the regions and so cannot be made later by a machine without them.
    each : sequence of TrainingSettings
        Of the runs that are trained side by side; alike but for what the step is made of. `plan` is
        given them with the fold filled in.
    plan : callable
        The method.

    Returns
    -------
    list of RunFolder
        For each fold those of each settings, with models, log and predictions.

    Raises
    ------
    ConfigError
        If patience is asked for and a fold has no validation region.
    WsikdError
        If a fold cannot start from what it should: of any fold before the first is trained.
    BusyError
        If another process is carrying out a run; the message names it.
    """
    folds = folds_of(manifest, each[0].fold)
    of_folds = {fold: read_inputs(store, manifest, fold) for fold in folds}
    tasks = [
        (inputs, [one.model_copy(update={"fold": fold}) for one in each])
        for fold, inputs in of_folds.items()
    ]
    for inputs in of_folds.values() if each[0].patience is not None else ():
        inputs.check_validated("--patience", source_of(manifest))
    for inputs, settings in tasks if len(tasks) > 1 else ():
        for one in settings:
            _look_back(plan(inputs, one), inputs)  # the plan is dropped, as it holds networks
    made = []
    for inputs, settings in tasks:
        made += _carry_out_fold(runs, inputs, [(one, plan(inputs, one)) for one in settings])
    for note in hand_over(runs, store, manifest, folds) if is_first() else ():
        Display(made[-1].name).say(note)
    return made


def _look_back(plan: Plan, inputs: "Inputs") -> Past:
    return look_back(list(plan.sources.values()), inputs, unrelated=plan.unrelated)


def _carry_out_fold(
    runs: Path, inputs: "Inputs", plans: Sequence[tuple[TrainingSettings, Plan]]
) -> "list[RunFolder]":
    begun = [(_begin(runs, inputs, *one), *one) for one in plans]
    due = [one for one in begun if not one[0].is_complete()]
    if due:
        settings = due[0][1]
        with ExitStack() as held:
            # before the device is used, and while a teacher is asked and predictions are made
            held.enter_context(deterministic(asked=settings.deterministic))
            machine = Machine.of(settings)
            for run, _, _ in due:
                held.enter_context(held_by_first(run))
            methods = [(run, plan.method(machine)) for run, _, plan in due]
            plans_of = {run.name: plan for run, _, plan in due}
            for group in _together(methods, plans_of):
                each = [plans_of[run.name] for run, _ in group]
                parts = dict.fromkeys(part for plan in each for part in plan.parts)
                work = Work(inputs, each[0].learns_from, tuple(parts), machine.way)
                train(group, work, settings, machine)
    return [run for run, _, _ in begun]


def _together(
    methods: "Sequence[tuple[RunFolder, Method]]", plans: Mapping[str, Plan]
) -> "list[Sequence[tuple[RunFolder, Method]]]":
    """Return the runs that are trained side by side, and then the next.

    Those that share no network are trained in turn: their batches would be put together by the
    finest view of all, and so be others than those of a run alone.
    """
    if any(len(plans[run.name].live) > 1 for run, _ in methods):
        return [methods]
    return [[one] for one in methods]


def _begin(runs: Path, inputs: "Inputs", settings: TrainingSettings, plan: Plan) -> "RunFolder":
    """Make a run's folder, with what it learns from and what it starts from has seen."""
    past = _look_back(plan, inputs)
    way = Way.choose(choose_device(settings.device), settings.precision, settings.kernels)
    fingerprints = dict(plan.fingerprints)
    if way.precision is not None:  # not what was asked for, which may be auto
        fingerprints["precision"] = "bf16"
    about = inputs.describe_run(plan.kind, plan.magnification, fingerprints)
    names = {key: source.name for key, source in plan.sources.items()}
    about = about.model_copy(update={"sources": names, "notes": past.notes})
    if settings.weighs_balanced(training=True):
        weights = balanced_weights([item.label for item in inputs.items["train"]])
        about = about.model_copy(update={"class_weights": weights})
    with first_alone():
        run = begin(runs, about, settings)
    if is_first() and not run.is_complete():
        for note in past.notes:
            Display(run.name).say(f"note: {note}")
        with run.alone():
            own = seen_slides(inputs, (*plan.learns_from, "val", "test"))
            run.write_learnt(pd.concat([own, past.rows]))
    return run
