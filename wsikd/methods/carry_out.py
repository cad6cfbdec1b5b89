"""Carrying out a method, fold by fold: training, predictions, and what the numbers need beside.

A method fills in a `Plan`; all else is alike for every method that learns from whole regions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd
import torch

from wsikd.cohort.manifest import source_of
from wsikd.data.regions import RegionDataset
from wsikd.data.statistics import channel_statistics
from wsikd.geometry import format_magnification, magnification_to_mpp
from wsikd.losses.classification import balanced_weights
from wsikd.methods.hand_over import hand_over
from wsikd.methods.predictions import predict
from wsikd.methods.region_inputs import begin, folds_of, read_inputs
from wsikd.methods.seen import Past, look_back, seen_slides
from wsikd.models import Network
from wsikd.models.weights import ModelDescription, load_model, save_model
from wsikd.training.device import choose_device, place
from wsikd.training.display import Display, telling_if_long
from wsikd.training.feeds.regions import Augmentation, Feed, Variation
from wsikd.training.loop import Learner, Loop, Step
from wsikd.training.settings import TrainingSettings

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem
    from wsikd.methods.region_inputs import Inputs, MethodName
    from wsikd.runs import Checkpoint, RunFolder
    from wsikd.store import RegionStore

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
    """

    model: Network
    description: ModelDescription
    step: Step
    views: Mapping[str, ModelDescription]
    train_splits: tuple[str, ...] = ("train",)
    variation: Variation | None = None


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
    """

    kind: "MethodName"
    magnification: float
    fingerprints: dict[str, str]
    method: Callable[[torch.device], Method]
    sources: "dict[str, RunFolder]" = field(default_factory=dict)
    unrelated: bool = False


class Feeds:
    """Makes the feeds of a run.

    Parameters
    ----------
    inputs : Inputs
        The regions.
    settings : TrainingSettings
        Augmentation, workers, seed.
    device : torch.device
        Where the batches go.
    """

    def __init__(self, inputs: "Inputs", settings: TrainingSettings, device: torch.device) -> None:
        self._inputs, self._settings, self._device = inputs, settings, device

    def make(
        self,
        items: list["RegionItem"],
        views: Mapping[str, ModelDescription],
        variation: Variation | None = None,
    ) -> Feed:
        """Make the feed of these items and views; images are varied only if it is said how."""
        settings, inputs = self._settings, self._inputs
        magnifications = {name: about.magnification for name, about in views.items()}
        augmented = variation is not None
        labels = [item.label for item in items]
        is_weighed = settings.weighs_balanced(training=augmented)
        weights = balanced_weights(labels) if is_weighed else None
        return Feed(
            RegionDataset(inputs.store, items, magnifications, inputs.classes, weights),
            views,
            self._device,
            augmentation=variation,
            workers=settings.workers,
            names=[item.name for item in items],
            balanced=labels if augmented and settings.draws_balanced else None,
        )


def carry_out(
    store: "RegionStore",
    manifest: pd.DataFrame,
    runs: Path,
    settings: SettingsType,
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
    settings : TrainingSettings
        Of the method; `plan` is given them with the fold filled in.
    plan : callable
        The method.

    Returns
    -------
    list of RunFolder
        One per fold, with models, log and predictions.

    Raises
    ------
    ConfigError
        If patience is asked for and a fold has no validation region.
    WsikdError
        If a fold cannot start from what it should: of any fold before the first is trained.
    BusyError
        If another process is carrying out a run; the message names it.
    """
    folds = folds_of(manifest, settings.fold)
    of_folds = {fold: read_inputs(store, manifest, fold) for fold in folds}
    tasks = [(of_folds[fold], settings.model_copy(update={"fold": fold})) for fold in folds]
    for inputs in of_folds.values() if settings.patience is not None else ():
        inputs.check_validated("--patience", source_of(manifest))
    for inputs, of_fold in tasks if len(tasks) > 1 else ():
        _look_back(plan(inputs, of_fold), inputs)  # the plan is dropped, as it holds networks
    made = []
    for inputs, of_fold in tasks:
        made.append(_carry_out_fold(runs, inputs, of_fold, plan(inputs, of_fold)))
    for note in hand_over(runs, store, manifest, folds):
        Display(made[-1].name).say(note)
    return made


def _look_back(plan: Plan, inputs: "Inputs") -> Past:
    return look_back(list(plan.sources.values()), inputs, unrelated=plan.unrelated)


def _carry_out_fold(
    runs: Path, inputs: "Inputs", settings: TrainingSettings, plan: Plan
) -> "RunFolder":
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
        device = choose_device(settings.device)
        with run.alone():
            method = plan.method(device)
            own = seen_slides(inputs, (*method.train_splits, "val", "test"))
            run.write_learnt(pd.concat([own, past.rows]))
            _train(run, method, inputs, settings, device)
    return run


def _train(
    run: "RunFolder",
    method: Method,
    inputs: "Inputs",
    settings: TrainingSettings,
    device: torch.device,
) -> None:
    """Train, predict with the best and the last epoch, and mark the run as complete."""
    feeds = Feeds(inputs, settings, device)
    learnt_from = [item for split in method.train_splits for item in inputs.items[split]]
    save = partial(save_model, method.model, method.description)
    variation = method.variation or Augmentation(settings.augment, settings.seed)
    seconds = Loop(
        run,
        Learner(method.model, method.step, save),
        feeds.make(learnt_from, method.views, variation),
        feeds.make(inputs.items["val"], method.views),
        settings,
    ).run()
    tested = inputs.items["val"] + inputs.items["test"]
    feed = feeds.make(tested, {"image": method.description})
    checkpoints: tuple[Checkpoint, ...] = ("best", "last")
    for checkpoint in checkpoints:
        model, description = load_model(run.model_path(checkpoint))
        table = predict(place(model, device), feed, tested, description.classes)
        run.write_predictions(table, checkpoint)
    run.finish(seconds=seconds)


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
