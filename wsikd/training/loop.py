"""The one training loop: epochs, steps, validation, checkpoints; what is learnt is a `step`."""

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import torch

from wsikd.errors import DivergedError, StoppedError, WsikdError
from wsikd.training.checkpoints import Writer
from wsikd.training.determinism import deterministic
from wsikd.training.display import Display
from wsikd.training.distributed import largest, process_count, wait
from wsikd.training.events import Events
from wsikd.training.feeds.batches import Feed
from wsikd.training.pixel_count import PixelCount
from wsikd.training.scarce import Means
from wsikd.training.signals import StopRequest
from wsikd.training.trainee import Entry, Trainee


class Loop:
    """Trains models until their epochs are over or validation has not improved for long enough.

    It takes up the state that an earlier, stopped call left in a run's folder, and then ends with
    the very weights of a call that was never stopped. Several models that learn from the same
    batches are trained side by side, each as if it were alone: what they share, such as a teacher's
    pass, is computed once. One that has come further than the others waits for them.

    Several processes train a model if `train` yields to each its part of every step and the step
    function knows of the others where items are compared.

    Parameters
    ----------
    trainees : sequence of Trainee
        Of equal settings but for what `step` is made with.
    train : Feed
        Items to learn from.
    val : Feed or None
        Items to choose the best epoch by; without any the last is best.
    """

    def __init__(self, trainees: Sequence[Trainee], train: Feed, val: Feed | None) -> None:
        learners = [one.learner for one in trainees]
        watched = any(learner.judge is not None for learner in learners)
        assert not watched or process_count() == 1, "only the first process watches"
        self._trainees, self._train, self._val = list(trainees), train, val
        self._settings = trainees[0].settings
        more = f" and {len(trainees) - 1} more" if len(trainees) > 1 else ""
        self._display = Display(f"{trainees[0].run.name}{more}")
        self._saved = time.monotonic()
        self._events: dict[str, Events] = {}

    def run(self) -> list[float]:
        """Train to the end and return the seconds each took, those of stopped calls included.

        Raises
        ------
        StoppedError
            If SIGINT or SIGTERM came; the state is saved.
        DivergedError
            If the loss of an item is not finite; what was saved before stays.
        """
        with (
            deterministic(asked=self._settings.deterministic),
            StopRequest() as self._stop,
            self._display,
            Writer() as self._writer,
            ExitStack() as stack,
        ):
            self._greet()
            for one in self._trainees:
                self._events[one.run.name] = stack.enter_context(one.begin())
                one.tick()
            try:
                while active := [one for one in self._trainees if not one.is_done()]:
                    self._train_epoch(_behind(active))
            except WsikdError:  # the state may be worth no more than what made it fail
                self._writer.write([w for one in self._trainees for w in one.save_models()])
                self._writer.wait()
                raise
            self._save()
        wait()  # what the first process wrote may be read
        return [one.progress.seconds for one in self._trainees]

    def _greet(self) -> None:
        for one in self._trainees:
            progress = one.progress
            if progress.steps:
                told = f"goes on after {progress.epoch} epochs, {progress.steps} steps"
                self._display.say(told, of=one.run.name)
        if self._val is not None and not len(self._val):
            self._display.say("no validation regions, so the last epoch is the model")

    def _train_epoch(self, trainees: list[Trainee]) -> None:
        epoch = trainees[0].progress.epoch + 1
        order = self._train.order(self._settings.seed, epoch)
        per_step = self._settings.items_per_step
        learnt = min(one.progress.position for one in trainees)
        self._show_epoch(epoch, len(order), learnt)
        for one in trainees:
            one.learn_mode()
        pixels = PixelCount()
        for batches in self._train.steps(order[learnt:], per_step, epoch=epoch):
            # the last step of an epoch may have fewer items: its mean is over what it has
            group = order[learnt : learnt + per_step]
            learning = [one for one in trainees if one.progress.position == learnt]
            for batch in pixels.watch(batches):
                for one in learning:
                    self._means(one, self._train).compute(
                        batch, partial(one.learn, group=len(group))
                    )
                self._display.advance(len(batch) * process_count())
            learnt += len(group)
            for one in learning:
                one.progress.count(*pixels.of_step)
                if not one.take_step(learnt, math.ceil(len(order) / per_step)):
                    raise self._diverged(one, group, epoch)
            self._after_step()
        self._close_epoch(trainees, pixels)

    def _close_epoch(self, trainees: list[Trainee], pixels: PixelCount) -> None:
        self._validate(trainees)
        for one in trainees:
            say = partial(self._display.say, of=one.run.name)
            told = pixels.tell(one.progress)
            entry = one.close_epoch(one.take_validation(), told, say)
            self._events[one.run.name].add(entry)
            say(_summary(entry, self._settings.epochs))
        self._save_if_due()

    @torch.no_grad()
    def _validate(self, trainees: list[Trainee]) -> None:
        if self._val is None:
            return
        for one in trainees:
            one.learner.model.eval()
        for batches in self._val.steps(range(len(self._val)), self._settings.items_per_step):
            for batch in batches:
                for one in trainees:
                    self._means(one, self._val).compute(batch, one.look)
                self._display.advance(len(batch) * process_count())
            self._stop_if_asked()

    def _means(self, one: Trainee, feed: Feed) -> Means:
        """Return what can be changed for a model to be computed with less memory."""
        return Means(feed, one.learner.machine, partial(self._display.say, of=one.run.name))

    def _diverged(self, one: Trainee, group: Sequence[int], epoch: int) -> DivergedError:
        """Find the item of a step whose loss is not finite."""
        again = list(self._train.again(group, epoch))
        guilty = next((batch for batch in again if not one.is_finite(batch)), again[0])
        return DivergedError(
            f"{one.run.path}: loss must be finite, is not in epoch {epoch} at "
            f"{self._train.name(guilty)}; lower --learning-rate"
        )

    def _after_step(self) -> None:
        self._save_if_due()
        self._stop_if_asked()

    def _show_epoch(self, epoch: int, count: int, done: int) -> None:
        self._display.restart(
            f"epoch {epoch}/{self._settings.epochs}",
            total=count + (0 if self._val is None else len(self._val)),
            done=done,
        )

    def _stop_if_asked(self) -> None:
        number = largest(self._stop.number or 0)  # all stop if a signal came to any
        if not number:
            return
        self._save()
        wait()  # torchrun ends all processes as soon as one has ended
        raise StoppedError(_stopped(self._trainees), number)

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved > 60 * self._settings.checkpoint_minutes:
            self._write()

    def _save(self) -> None:
        self._write()
        self._writer.wait()

    def _write(self) -> None:
        self._writer.write([write for one in self._trainees for write in one.save()])
        self._saved = time.monotonic()


def _behind(trainees: list[Trainee]) -> list[Trainee]:
    """Return those that have come least far, by epochs."""
    least = min(one.progress.epoch for one in trainees)
    return [one for one in trainees if one.progress.epoch == least]


def _stopped(trainees: list[Trainee]) -> str:
    first, more = trainees[0], f" and {len(trainees) - 1} more" if len(trainees) > 1 else ""
    return (
        f"{first.run.path}{more}: saved in epoch {first.progress.epoch + 1} after step "
        f"{first.progress.steps}; run the same command to go on"
    )


def _summary(entry: Entry, epochs: int) -> str:
    val = f", validation {entry['val']['loss']:.4f}" if entry["val"] else ""
    loss = f"loss {entry['train']['loss']:.4f}" if entry["train"] else "nothing to learn from"
    return (
        f"epoch {entry['epoch']}/{epochs}, {entry['steps']} steps, {loss}{val}, "
        f"{entry['seconds']:.1f} s"
    )
