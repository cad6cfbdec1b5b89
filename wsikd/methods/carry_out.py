"""Carrying out a method, fold by fold: training, predictions, and what the numbers need beside.

A method fills in a `Plan`; all else is alike for every method that learns from whole regions.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd
import torch

from wsikd.cohort.manifest import source_of
from wsikd.data.held import HeldPixels, RegionViews, count_bytes, find_room
from wsikd.data.regions import labels_of
from wsikd.data.statistics import channel_statistics
from wsikd.geometry import format_magnification, magnification_to_mpp
from wsikd.losses.classification import balanced_weights
from wsikd.methods.hand_over import hand_over
from wsikd.methods.predictions import predict
from wsikd.methods.region_inputs import begin, folds_of, read_inputs
from wsikd.methods.seen import Past, look_back, seen_slides
from wsikd.models import Network
from wsikd.models.weights import ModelDescription, keep_model, load_model
from wsikd.training.device import choose_device, place
from wsikd.training.display import Display, telling_if_long
from wsikd.training.feeds.regions import (
    About,
    Augmentation,
    FeedOptions,
    Needless,
    RegionFeed,
    Variation,
    needs_all,
)
from wsikd.training.loop import Loop
from wsikd.training.settings import TrainingSettings
from wsikd.training.trainee import Learner, Step, Trainee

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem
    from wsikd.methods.region_inputs import Inputs, MethodName
    from wsikd.runs import Checkpoint, RunFolder
    from wsikd.store import RegionStore

_USUAL_MPIX = {"cpu": 1.0}  # where larger batches are no faster, and leave the caches
_GPU_MPIX = 16.0

SettingsType = TypeVar("SettingsType", bound=TrainingSettings)


@dataclass(frozen=True)
class Method:
    """What is trained, from what and by which loss.

    Attributes
    ----------
    model : Network
        What is trained.
    description : ModelDescription
        What it is and reads.
    step : callable
        The method's loss; see `Learner`.
    views : mapping of str to ModelDescription
        The images `step` asks for, each described by the model that reads it.
    train_splits : tuple of str
        The splits it learns from.
    variation : Variation, optional
        How training images are varied; by the settings' augmentation unless stated.
    needless : callable
        Names the views that need not be read any more of some items of validation.
    """

    model: Network
    description: ModelDescription
    step: Step
    views: Mapping[str, ModelDescription]
    train_splits: tuple[str, ...] = ("train",)
    variation: Variation | None = None
    needless: Needless = needs_all


@dataclass(frozen=True)
class Plan:
    """What a method makes of one fold, before anything is trained.

    Attributes
    ----------
    kind : str
        What kind of run it is; the run's name begins so.
    magnification : float
        That the trained network reads.
    fingerprints : dict of str to str
        Hashes of what it starts from; a run that exists with others is refused.
    method : callable
        Builds what is trained, on a device; asked only if the run is not finished.
    sources : dict of str to RunFolder
        The runs among what it starts from or learns from, by their key among the fingerprints.
        What they have seen is not to be tested on.
    unrelated : bool
        Whether the user vouches for images of theirs that cannot be traced to a patient.
    learns_from : tuple of str
        The splits it learns from.
    """

    kind: "MethodName"
    magnification: float
    fingerprints: dict[str, str]
    method: Callable[[torch.device], Method]
    sources: "dict[str, RunFolder]" = field(default_factory=dict)
    unrelated: bool = False
    learns_from: tuple[str, ...] = ("train",)


class Feeds:
    """Makes the feeds of runs that are trained side by side.

    Parameters
    ----------
    inputs : Inputs
        The regions.
    settings : TrainingSettings
        Augmentation, batches, seed.
    device : torch.device
        Where the batches go.
    pixels : HeldPixels
        Reads the regions.
    packs : bool
        Whether the networks read regions of unequal sizes at once.
    """

    def __init__(
        self,
        inputs: "Inputs",
        settings: TrainingSettings,
        device: torch.device,
        pixels: HeldPixels,
        *,
        packs: bool = True,
    ) -> None:
        self._inputs, self._settings, self._device = inputs, settings, device
        self._pixels, self._packs = pixels, packs

    def make(
        self,
        items: list["RegionItem"],
        views: Mapping[str, ModelDescription],
        variation: Variation | None = None,
        needless: Needless = needs_all,
    ) -> RegionFeed:
        """Make the feed of these items and views; images are varied only if it is said how."""
        settings, classes = self._settings, self._inputs.classes
        augmented = variation is not None
        labels = [item.label for item in items]
        is_weighed = settings.weighs_balanced(training=augmented)
        weights = balanced_weights(labels) if is_weighed else None
        about = About(
            [item.name for item in items],
            labels_of(items, classes),
            None if weights is None else [weights[label] for label in labels],
            labels if augmented and settings.draws_balanced else None,
        )
        magnifications = {name: reads.magnification for name, reads in views.items()}
        return RegionFeed(
            RegionViews(self._pixels, items, magnifications),
            views,
            self._device,
            variation=variation,
            about=about,
            options=FeedOptions(self._budget(), settings.workers, needless),
        )

    def _budget(self) -> float:
        mpix = self._settings.batch_mpix if self._packs else 0
        return 1e6 * (_USUAL_MPIX.get(self._device.type, _GPU_MPIX) if mpix is None else mpix)


def carry_out(
    store: "RegionStore",
    manifest: pd.DataFrame,
    runs: Path,
    each: Sequence[SettingsType],
    plan: "Callable[[Inputs, SettingsType], Plan]",
) -> "list[RunFolder]":
    """Carry out a method for one fold or for each in turn; what is done is not redone.

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
    for note in hand_over(runs, store, manifest, folds):
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
        device = choose_device(plans[0][0].device)
        with ExitStack() as held:
            for run, _, _ in due:
                held.enter_context(run.alone())
            methods = [(run, plan.method(device)) for run, _, plan in due]
            _train(methods, inputs, due[0][1], device)
    return [run for run, _, _ in begun]


def _begin(runs: Path, inputs: "Inputs", settings: TrainingSettings, plan: Plan) -> "RunFolder":
    """Make a run's folder, with what it learns from and what it starts from has seen."""
    past = _look_back(plan, inputs)
    about = inputs.describe_run(plan.kind, plan.magnification, plan.fingerprints)
    names = {key: source.name for key, source in plan.sources.items()}
    about = about.model_copy(update={"sources": names, "notes": past.notes})
    if settings.weighs_balanced(training=True):
        weights = balanced_weights([item.label for item in inputs.items["train"]])
        about = about.model_copy(update={"class_weights": weights})
    run = begin(runs, about, settings)
    if not run.is_complete():
        for note in past.notes:
            Display(run.name).say(f"note: {note}")
        with run.alone():
            own = seen_slides(inputs, (*plan.learns_from, "val", "test"))
            run.write_learnt(pd.concat([own, past.rows]))
    return run


def _train(
    methods: "Sequence[tuple[RunFolder, Method]]",
    inputs: "Inputs",
    settings: TrainingSettings,
    device: torch.device,
) -> None:
    """Train, predict with the best and the last epoch, and mark the runs as complete."""
    first = methods[0][1]
    views: dict[str, ModelDescription] = {}
    for _, method in methods:
        views |= method.views
    learnt_from = [item for split in first.train_splits for item in inputs.items[split]]
    pixels = _hold(methods[0][0].name, inputs, (learnt_from, views), settings, device)
    packs = all(method.model.packs for _, method in methods)
    feeds = Feeds(inputs, settings, device, pixels, packs=packs)
    trainees = [
        Trainee(
            run,
            Learner(
                method.model, method.step, partial(keep_model, method.model, method.description)
            ),
            settings,
        )
        for run, method in methods
    ]
    seconds = Loop(
        trainees,
        feeds.make(
            learnt_from, views, first.variation or Augmentation(settings.augment, settings.seed)
        ),
        feeds.make(inputs.items["val"], views, needless=first.needless),
    ).run()
    for (run, method), spent in zip(methods, seconds, strict=True):
        _predict(run, method.description, inputs, feeds, device)
        run.finish(seconds=spent)


def _predict(
    run: "RunFolder",
    reads: ModelDescription,
    inputs: "Inputs",
    feeds: Feeds,
    device: torch.device,
) -> None:
    tested = inputs.items["val"] + inputs.items["test"]
    feed = feeds.make(tested, {"image": reads})
    checkpoints: tuple[Checkpoint, ...] = ("best", "last")
    for checkpoint in checkpoints:
        model, description = load_model(run.model_path(checkpoint))
        table = predict(place(model, device), feed, tested, description.classes)
        run.write_predictions(table, checkpoint)


def _hold(
    name: str,
    inputs: "Inputs",
    learnt: tuple[list["RegionItem"], Mapping[str, ModelDescription]],
    settings: TrainingSettings,
    device: torch.device,
) -> HeldPixels:
    """Decide which regions stay where, and tell it if they do not all stay."""
    items, views = learnt
    magnifications = [reads.magnification for reads in views.values()]
    needed = count_bytes(inputs.store, items + inputs.items["val"], magnifications)
    room = find_room(settings.resident, needed, device)
    Display(name).say(room.told)
    return HeldPixels(inputs.store, room)


def describe(
    inputs: "Inputs", architecture: str, magnification: float, cache: Path
) -> ModelDescription:
    """Describe a model to be trained, with mean and std of the labelled training regions.

    What is known of their colours is kept in the folder `cache`; otherwise they are read, with
    progress on stderr if it takes more than a moment.
    """
    trained = inputs.items["train"]
    doing = (
        f"reads {len(trained)} regions at {format_magnification(magnification)} for mean and std"
    )
    with telling_if_long("colours", doing) as tell:
        mean, std = channel_statistics(inputs.store, trained, magnification, cache, tell)
    return ModelDescription(
        architecture=architecture,
        classes=inputs.classes,
        magnification=magnification,
        mpp=magnification_to_mpp(magnification),
        mean=mean,
        std=std,
    )
