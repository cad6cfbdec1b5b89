"""Training the runs of a fold side by side, and what their models predict."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from wsikd.data.held import HeldPixels, RegionViews, count_bytes, find_room
from wsikd.data.regions import labels_of
from wsikd.losses.classification import balanced_weights
from wsikd.methods.method import Method
from wsikd.methods.predictions import predict
from wsikd.models.weights import ModelDescription, keep_model, load_model
from wsikd.training.device import place
from wsikd.training.display import Display
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

_USUAL_MPIX = {"cpu": 1.0}  # where larger batches are no faster, and leave the caches
_GPU_MPIX = 16.0


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


def train(
    methods: "Sequence[tuple[RunFolder, Method]]",
    inputs: "Inputs",
    settings: TrainingSettings,
    machine: Machine,
) -> None:
    """Train, predict with the best and the last epoch, and mark the runs as complete."""
    first = methods[0][1]
    views: dict[str, ModelDescription] = {}
    for _, method in methods:
        views |= method.views
    learnt_from = [item for split in first.train_splits for item in inputs.items[split]]
    pixels = _hold(methods[0][0].name, inputs, (learnt_from, views), settings, machine)
    packs = all(method.model.packs for _, method in methods)
    feeds = Feeds(inputs, settings, machine.device, pixels, packs=packs)
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
        run.write_predictions(table, checkpoint)


def _hold(
    name: str,
    inputs: "Inputs",
    learnt: tuple[list["RegionItem"], Mapping[str, ModelDescription]],
    settings: TrainingSettings,
    machine: Machine,
) -> HeldPixels:
    """Decide which regions stay where, and tell it if they do not all stay."""
    items, views = learnt
    magnifications = [reads.magnification for reads in views.values()]
    needed = count_bytes(inputs.store, items + inputs.items["val"], magnifications)
    room = find_room(settings.resident, needed, machine.device)
    if room.device.type == machine.device.type and settings.memory_gib is None:
        machine.reserve(room.bytes)
    Display(name).say(room.told)
    return HeldPixels(inputs.store, room)
