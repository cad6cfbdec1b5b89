"""Carrying out a method: training, then predictions of the best and of the last epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from wsikd.data.regions import RegionDataset
from wsikd.data.statistics import channel_statistics
from wsikd.geometry import magnification_to_mpp
from wsikd.methods.predictions import predict
from wsikd.models import Network
from wsikd.models.weights import ModelDescription, load_model, save_model
from wsikd.training.device import place
from wsikd.training.feeds.regions import Augmentation, Feed
from wsikd.training.loop import Learner, Loop, Step
from wsikd.training.settings import TrainingSettings

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem
    from wsikd.methods.region_inputs import Inputs
    from wsikd.runs import Checkpoint, RunFolder


@dataclass(frozen=True)
class Method:
    """What makes one method differ from another.

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
    """

    model: Network
    description: ModelDescription
    step: Step
    views: Mapping[str, ModelDescription]
    train_splits: tuple[str, ...] = ("train",)


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
        *,
        augmented: bool = False,
    ) -> Feed:
        """Make the feed of these items and views."""
        settings, inputs = self._settings, self._inputs
        magnifications = {name: about.magnification for name, about in views.items()}
        return Feed(
            RegionDataset(inputs.store, items, magnifications, inputs.classes),
            views,
            self._device,
            augmentation=Augmentation(settings.augment, settings.seed) if augmented else None,
            workers=settings.workers,
            names=[f"{item.slide_id}/{item.region_id}" for item in items],
        )


def carry_out(
    run: "RunFolder",
    method: Method,
    inputs: "Inputs",
    settings: TrainingSettings,
    device: torch.device,
) -> None:
    """Train, predict and mark the run as complete; what an earlier call has done is not redone."""
    feeds = Feeds(inputs, settings, device)
    learnt_from = [item for split in method.train_splits for item in inputs.items[split]]
    save = partial(save_model, method.model, method.description)
    seconds = Loop(
        run,
        Learner(method.model, method.step, save),
        feeds.make(learnt_from, method.views, augmented=True),
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


def describe(inputs: "Inputs", architecture: str, magnification: float) -> ModelDescription:
    """Describe a model to be trained, with mean and std of the labelled training regions."""
    mean, std = channel_statistics(inputs.store, inputs.items["train"], magnification)
    return ModelDescription(
        architecture=architecture,
        classes=inputs.classes,
        magnification=magnification,
        mpp=magnification_to_mpp(magnification),
        mean=mean,
        std=std,
    )
