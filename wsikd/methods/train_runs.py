"""Training the runs of a fold side by side, and what their models predict."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from wsikd.data.held import HeldPixels, RegionViews
from wsikd.data.regions import labels_of
from wsikd.losses.classification import balanced_weights
from wsikd.methods.method import Method
from wsikd.methods.predictions import predict
from wsikd.methods.work import Work, budget_of, foresee, make_room
from wsikd.models.weights import ModelDescription, keep_model, load_model
from wsikd.training.device import place
from wsikd.training.display import Display
from wsikd.training.distributed import is_first
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
from wsikd.training.machine import Machine
from wsikd.training.settings import TrainingSettings
from wsikd.training.trainee import Learner, Trainee

if TYPE_CHECKING:
    from wsikd.data.regions import RegionItem
    from wsikd.methods.region_inputs import Inputs
    from wsikd.runs import Checkpoint, RunFolder


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
    budget : float
        Pixels of the finest view that are read at once; see `budget_of`.
    """

    def __init__(
        self,
        inputs: "Inputs",
        settings: TrainingSettings,
        device: torch.device,
        pixels: HeldPixels,
        budget: float,
    ) -> None:
        self._inputs, self._settings, self._device = inputs, settings, device
        self._pixels, self._budget = pixels, budget

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
            options=FeedOptions(self._budget, settings.workers, needless),
        )


def train(
    methods: "Sequence[tuple[RunFolder, Method]]",
    work: Work,
    settings: TrainingSettings,
    machine: Machine,
) -> None:
    """Train, predict with the best and the last epoch, and mark the runs as complete."""
    first, inputs = methods[0][1], work.inputs
    views: dict[str, ModelDescription] = {}
    for _, method in methods:
        views |= method.views
    display = Display(methods[0][0].name)
    room = make_room(work, settings, machine)
    forecast = foresee(display.name, settings, work, machine, room)
    for line in (*forecast.lines(), *(f"note: {note}" for note in forecast.notes)):
        display.say(line)
    pixels = HeldPixels(inputs.store, room)
    feeds = Feeds(inputs, settings, machine.device, pixels, budget_of(settings, work, machine))
    learnt_from = work.learnt
    trainees = [
        Trainee(
            run,
            Learner(
                method.model,
                method.step,
                partial(keep_model, method.model, method.description),
                machine=machine,
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
        _predict(run, method.description, inputs, feeds, machine)
        if is_first():
            run.finish(seconds=spent)


def _predict(
    run: "RunFolder",
    reads: ModelDescription,
    inputs: "Inputs",
    feeds: Feeds,
    machine: Machine,
) -> None:
    tested = inputs.items["val"] + inputs.items["test"]
    feed = feeds.make(tested, {"image": reads})
    checkpoints: tuple[Checkpoint, ...] = ("best", "last")
    for checkpoint in checkpoints:
        model, description = load_model(run.model_path(checkpoint))
        table = predict(place(model, machine.device), feed, tested, description.classes, machine)
        if table is not None:
            run.write_predictions(table, checkpoint)
