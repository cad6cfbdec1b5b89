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
from wsikd.methods.work import Work, budget_of, foresee, made_room
from wsikd.models.cost import gmacs_of
from wsikd.models.weights import ModelDescription, keep_model, load_model
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
    with made_room(work, settings, machine) as room:
        display = Display(methods[0][0].name)
        forecast = foresee(display.name, settings, work, machine, room)
        for line in (*forecast.lines(), *(f"note: {note}" for note in forecast.notes)):
            display.say(line)
        pixels, budget = HeldPixels(work.inputs.store, room), budget_of(settings, work, machine)
        feeds = Feeds(work.inputs, settings, machine.device, pixels, budget)
        seconds = _loop(methods, work, settings, machine, feeds).run()
        for (run, method), spent in zip(methods, seconds, strict=True):
            _predict(run, method.description, work.inputs, feeds, machine)
            if is_first():
                run.finish(seconds=spent)


def _loop(
    methods: "Sequence[tuple[RunFolder, Method]]",
    work: Work,
    settings: TrainingSettings,
    machine: Machine,
    feeds: Feeds,
) -> Loop:
    """Bring together what is trained side by side."""
    first = methods[0][1]
    views: dict[str, ModelDescription] = {}
    trainees = []
    for run, method in methods:
        views |= method.views
        keep = partial(keep_model, method.model, method.description)
        learner = Learner(method.model, method.step, keep, machine=machine)
        trainees.append(Trainee(run, learner, settings))
    variation = first.variation or Augmentation(settings.augment, settings.seed)
    return Loop(
        trainees,
        feeds.make(work.learnt, views, variation),
        feeds.make(work.inputs.items["val"], views, needless=first.needless),
    )


def _predict(
    run: "RunFolder",
    reads: ModelDescription,
    inputs: "Inputs",
    feeds: Feeds,
    machine: Machine,
) -> None:
    tested = inputs.items["val"] + inputs.items["test"]
    feed = feeds.make(tested, {"image": reads})
    gmacs = gmacs_of(load_model(run.model_path())[0].eval())  # best and last cost the same
    checkpoints: tuple[Checkpoint, ...] = ("best", "last")
    for checkpoint in checkpoints:
        model, description = load_model(run.model_path(checkpoint))
        model = machine.place(model)
        table = predict(model, feed, tested, description.classes, machine, gmacs=gmacs)
        if table is not None:
            run.write_predictions(table, checkpoint)
