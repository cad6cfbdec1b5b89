"""The one training loop: accumulation, validation, checkpoints, log; what is learnt is a `step`."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsikd.errors import DivergedError, StoppedError
from wsikd.models.modes import train_unfrozen
from wsikd.runs import RunFolder
from wsikd.training.checkpoints import load_state, save_state
from wsikd.training.display import Display
from wsikd.training.distributed import (
    average,
    average_gradients,
    is_first,
    largest,
    process_count,
    refuse_unequal,
    wait,
)
from wsikd.training.events import Events
from wsikd.training.feeds.batches import Batches, Views
from wsikd.training.optimizer import build_optimizer
from wsikd.training.settings import RunSettings
from wsikd.training.signals import StopRequest

Step = Callable[[Views], dict[str, Tensor]]
Say = Callable[[str], None]
Entry = dict[str, Any]  # one line of the log

_ITEMS = "items"  # how many had terms, among their sums


@dataclass(frozen=True)
class Learner:
    """What the loop trains.

    Attributes
    ----------
    model : nn.Module
        Those of its parameters that require a gradient are trained; what is frozen is in eval mode.
    step : callable
        Named terms of the loss of one batch, each a mean over its items; their sum is minimised. A
        batch without any is passed over.
    save : callable
        Writes the model as it is now to a path; of several processes the first alone is asked.
    schedule : callable
        Factor of the learning rate, from the steps taken so far and those to take in all.
    limit_gradients : callable
        Told the parameters before each step, to limit their gradients.
    watch : callable
        Returns after every epoch what else the log should hold, by name. Its argument is a
        function that shows the user a line, for warnings. Of several processes the first alone
        is asked.
    judge : callable, optional
        Returns how bad an epoch is, from what was watched. Without it the loss of validation
        decides, and without validation the last epoch is best.
    has_converged : callable
        Asked after every epoch, with all lines of the log, whether training may end early.
    """

    model: nn.Module
    step: Step
    save: Callable[[Path], None]
    schedule: Callable[[int, int], float] = lambda _done, _all: 1.0
    limit_gradients: Callable[[Iterable[nn.Parameter]], None] = lambda _parameters: None
    watch: Callable[[Say], dict[str, float]] = lambda _say: {}
    judge: Callable[[dict[str, float]], float] | None = None
    has_converged: Callable[[list[Entry]], bool] = lambda _log: False


class Loop:
    """Trains a model until its epochs are over or validation has not improved for long enough.

    It takes up the state that an earlier, stopped call left in the run's folder, and then ends with
    the very weights of a call that was never stopped.

    Several processes train one model if `train` yields to each its part of every batch and `step`
    knows of the others where items are compared; there is no validation then.

    Parameters
    ----------
    run : RunFolder
        Gets the models of the best and of the last epoch, the log and the state.
    learner : Learner
        The model and the loss.
    train : Batches
        Items to learn from.
    val : Batches or None
        Items to choose the best epoch by; without any the last is best.
    settings : RunSettings
        Optimizer, order and checkpoints.
    """

    def __init__(
        self,
        run: RunFolder,
        learner: Learner,
        train: Batches,
        val: Batches | None,
        settings: RunSettings,
    ) -> None:
        assert val is None or process_count() == 1, "every process would validate by all items"
        assert learner.judge is None or process_count() == 1, "only the first process watches"
        self._run, self._learner, self._settings = run, learner, settings
        self._train, self._val = train, val
        self._optimizer = build_optimizer(learner.model, settings)
        self._progress = load_state(run.state_path, learner.model, self._optimizer)
        refuse_unequal(self._progress.steps, run.state_path)
        self._marked = self._saved = time.monotonic()

    def run(self) -> float:
        """Train to the end and return the seconds it took, those of stopped calls included.

        Raises
        ------
        StoppedError
            If SIGINT or SIGTERM came; the state is saved.
        DivergedError
            If the loss of a batch is not finite; what was saved before stays.
        """
        with (
            StopRequest() as self._stop,
            Display(self._run.name) as self._display,
            Events(self._run.path, self._progress.epoch, active=is_first()) as self._events,
        ):
            self._greet()
            while not self._is_done():
                self._train_epoch()
                self._close_epoch(self._validate())
        return self._progress.seconds

    def _greet(self) -> None:
        progress = self._progress
        if progress.steps:
            self._display.say(f"goes on after {progress.epoch} epochs, {progress.steps} steps")
        if self._val is not None and not len(self._val):
            self._display.say("no validation regions, so the last epoch is the model")

    def _is_done(self) -> bool:
        progress, patience = self._progress, self._settings.epochs_to_wait
        has_waited = patience is not None and progress.epoch - progress.best_epoch >= patience
        if progress.epoch >= self._settings.epochs or has_waited:
            return True
        return progress.epoch > 0 and self._learner.has_converged(self._run.read_log())

    def _train_epoch(self) -> None:
        progress, epoch = self._progress, self._progress.epoch + 1
        order = self._train.order(self._settings.seed, epoch)
        self._show_epoch(epoch, len(order))
        train_unfrozen(self._learner.model)
        learnt = start = progress.position
        for batch in self._train.batches(order[start:], epoch=epoch):
            # the last group of an epoch may be smaller: its mean is over what it has
            group = min(self._settings.items_per_step, len(order) - progress.position)
            count = _count(batch)
            loss = self._loss(self._train, batch, progress.sums)
            if loss is not None:
                torch.autograd.backward(loss * (count / group))
            learnt += count
            self._display.advance(count)
            if learnt - progress.position == group:
                self._take_step(learnt, len(order))

    def _take_step(self, learnt: int, items: int) -> None:
        settings, steps = self._settings, self._progress.steps
        in_all = settings.epochs * math.ceil(items / settings.items_per_step)
        if self._has_gradients():
            for group in self._optimizer.param_groups:
                average_gradients(group["params"])
                group["lr"] = settings.learning_rate * self._learner.schedule(steps, in_all)
                self._learner.limit_gradients(group["params"])
            self._optimizer.step()
            self._optimizer.zero_grad()
            self._progress.steps += 1
        self._progress.position = learnt
        if time.monotonic() - self._saved > 60 * self._settings.checkpoint_minutes:
            self._save_state()
        self._stop_if_asked()

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        self._learner.model.eval()
        sums: dict[str, float] = {}
        if self._val is None:
            return sums
        for batch in self._val.batches(range(len(self._val))):
            self._loss(self._val, batch, sums)
            self._display.advance(len(batch["index"]))
            self._stop_if_asked()
        return _means(sums)

    def _has_gradients(self) -> bool:
        groups = self._optimizer.param_groups
        return any(weight.grad is not None for group in groups for weight in group["params"])

    def _loss(self, feed: Batches, batch: Views, sums: dict[str, float]) -> Tensor | None:
        terms = self._learner.step(batch)
        if not terms:
            return None
        loss = torch.stack(list(terms.values())).sum()
        names = (_ITEMS, "loss", *terms)
        values: list[float] = average(torch.stack([loss, *terms.values()])).tolist()
        if not math.isfinite(values[0]):
            raise DivergedError(
                f"{self._run.path}: loss must be finite, is {values[0]} in epoch "
                f"{self._progress.epoch + 1} at {feed.name(batch)}; lower --learning-rate"
            )
        for name, value in zip(names, (1.0, *values), strict=True):
            sums[name] = sums.get(name, 0.0) + value * _count(batch)
        return loss

    def _close_epoch(self, val: dict[str, float]) -> None:
        progress = self._progress
        self._tick()
        entry: Entry = {
            "epoch": progress.epoch + 1,
            "steps": progress.steps,
            "train": _means(progress.sums),
            "val": val,
            "seconds": round(progress.epoch_seconds, 3),
        }
        progress.close_epoch()
        watched = self._learner.watch(self._display.say) if is_first() else {}
        if watched:
            entry["watched"] = watched
        judge = self._learner.judge
        judged = val.get("loss") if judge is None else judge(watched)
        is_best = judged is None or progress.best_loss is None or judged < progress.best_loss
        if is_best:
            progress.best_loss, progress.best_epoch = judged, progress.epoch
        if is_first():
            self._write_epoch(entry, is_best=is_best)
        self._save_state()
        self._display.say(_summary(entry, self._settings.epochs))

    def _write_epoch(self, entry: Entry, *, is_best: bool) -> None:
        if is_best:
            self._learner.save(self._run.model_path("best"))
        self._learner.save(self._run.model_path("last"))
        self._run.log(entry)
        self._events.add(entry)

    def _show_epoch(self, epoch: int, count: int) -> None:
        self._display.restart(
            f"epoch {epoch}/{self._settings.epochs}",
            total=count + (0 if self._val is None else len(self._val)),
            done=self._progress.position,
        )

    def _stop_if_asked(self) -> None:
        number = largest(self._stop.number or 0)  # all stop if a signal came to any
        if not number:
            return
        self._save_state()
        wait()  # torchrun ends all processes as soon as one has ended
        raise StoppedError(
            f"{self._run.path}: saved in epoch {self._progress.epoch + 1} after step "
            f"{self._progress.steps}; run the same command to go on",
            number,
        )

    def _save_state(self) -> None:
        self._tick()
        if is_first():
            save_state(self._run.state_path, self._learner.model, self._optimizer, self._progress)
        self._saved = time.monotonic()

    def _tick(self) -> None:
        now = time.monotonic()
        self._progress.epoch_seconds += now - self._marked
        self._marked = now


def _count(batch: Views) -> int:
    """Count the items of a batch, the parts of all processes together."""
    return len(batch["index"]) * process_count()


def _means(sums: dict[str, float]) -> dict[str, float]:
    return {name: value / sums[_ITEMS] for name, value in sums.items() if name != _ITEMS}


def _summary(entry: Entry, epochs: int) -> str:
    val = f", validation {entry['val']['loss']:.4f}" if entry["val"] else ""
    loss = f"loss {entry['train']['loss']:.4f}" if entry["train"] else "nothing to learn from"
    return (
        f"epoch {entry['epoch']}/{epochs}, {entry['steps']} steps, {loss}{val}, "
        f"{entry['seconds']:.1f} s"
    )
