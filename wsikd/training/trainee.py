"""One run that is trained: its model, optimizer and log, and how far it has come."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from wsikd.models.modes import train_unfrozen
from wsikd.runs import RunFolder
from wsikd.training.batch import Batch
from wsikd.training.checkpoints import Write, keep_state, load_state
from wsikd.training.distributed import (
    average_gradients,
    is_first,
    largest,
    process_count,
    refuse_unequal,
)
from wsikd.training.events import Events
from wsikd.training.machine import Machine
from wsikd.training.optimizer import build_optimizer
from wsikd.training.settings import RunSettings
from wsikd.training.tally import Sums, Tally, add, is_finite, means, total

Step = Callable[[Batch], dict[str, Tensor]]
Say = Callable[[str], None]
Entry = dict[str, Any]  # one line of the log


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
    keep : callable
        Returns what writes the model as it is now to a path, however it is trained after that; of
        several processes the first alone is asked.
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
    machine : Machine, optional
        Where it is computed, if a batch may be parted and computed in ways that take less memory.
    has_converged : callable
        Asked after every epoch, with all lines of the log, whether training may end early.
    """

    model: nn.Module
    step: Step
    keep: Callable[[], Write]
    schedule: Callable[[int, int], float] = lambda _done, _all: 1.0
    limit_gradients: Callable[[Iterable[nn.Parameter]], None] = lambda _parameters: None
    watch: Callable[[Say], dict[str, float]] = lambda _say: {}
    judge: Callable[[dict[str, float]], float] | None = None
    machine: Machine | None = None
    has_converged: Callable[[list[Entry]], bool] = lambda _log: False


class Trainee:
    """A run and its learner, brought to where an earlier, stopped call left them.

    Parameters
    ----------
    run : RunFolder
        Gets the models of the best and of the last epoch, the log and the state.
    learner : Learner
        The model and the loss.
    settings : RunSettings
        Optimizer and length.

    Attributes
    ----------
    progress : Progress
        How far it has come.

    Raises
    ------
    CheckpointError
        If the state of an earlier call is damaged.
    """

    def __init__(self, run: RunFolder, learner: Learner, settings: RunSettings) -> None:
        self.run, self.learner, self.settings = run, learner, settings
        self._optimizer = build_optimizer(learner.model, settings)
        self.progress = load_state(run.state_path, learner.model, self._optimizer)
        refuse_unequal(self.progress.steps, run.state_path)
        self._tally = Tally()
        # the models of the best and of the last epoch, until they are written
        self._best: Write | None = None
        self._last: Write | None = None
        self._marked, self._is_saved = time.monotonic(), True

    def begin(self) -> Events:
        """Forget what the log holds of epochs that are to be redone, and open TensorBoard's."""
        if is_first():
            self.run.forget_after(self.progress.epoch)
        return Events(self.run.path, self.progress.epoch, active=is_first())

    def is_done(self) -> bool:
        """Tell whether the epochs are over, or validation has not improved for long enough."""
        progress, patience = self.progress, self.settings.epochs_to_wait
        has_waited = patience is not None and progress.epoch - progress.best_epoch >= patience
        if progress.epoch >= self.settings.epochs or has_waited:
            return True
        return progress.epoch > 0 and self.learner.has_converged(self.run.read_log())

    def learn_mode(self) -> None:
        """Bring the model to the mode that it is trained in."""
        train_unfrozen(self.learner.model)

    def learn(self, batch: Batch, group: int) -> None:
        """Add the gradient of a batch, a part of a step of so many items in all processes.

        If memory runs out nothing is added, so that the same can be tried in another way.
        """
        terms = self.learner.step(batch)
        if terms:
            loss = total(terms)
            self._add_gradients(loss * (len(batch) * process_count() / group))
            self._tally.add(terms, loss, len(batch))

    def look(self, batch: Batch) -> None:
        """Add the loss of a batch of validation."""
        terms = self.learner.step(batch)
        if terms:
            self._tally.add(terms, total(terms), len(batch))

    def take_step(self, learnt: int, steps_of_epoch: int) -> bool:
        """Take a step along the gradients since the last one; without any the weights stay.

        Parameters
        ----------
        learnt : int
            Items of the epoch that are learnt from after it.
        steps_of_epoch : int
            That an epoch has.

        Returns
        -------
        bool
            Whether the loss is finite; if not, nothing was changed.
        """
        sums = self._tally.take()
        if not is_finite(sums):
            return False
        add(self.progress.sums, sums)
        if self._has_gradients():
            self._change_weights(self.settings.epochs * steps_of_epoch)
        self.progress.position, self._is_saved = learnt, False
        return True

    def is_finite(self, batch: Batch) -> bool:
        """Tell whether the loss of a batch is a number."""
        with torch.no_grad():
            self.look(batch)
        return is_finite(self._tally.take())

    def take_validation(self) -> Sums:
        """Return the sums of validation since the last call."""
        return self._tally.take()

    def close_epoch(self, val: Sums, told: dict[str, float], say: Say) -> Entry:
        """Count the epoch as complete, and return what the log holds of it, `told` among it."""
        progress = self.progress
        self.tick()
        entry: Entry = {
            "epoch": progress.epoch + 1,
            "steps": progress.steps,
            "train": means(progress.sums),
            "val": means(val),
            "seconds": round(progress.epoch_seconds, 3),
            **told,
        }
        progress.close_epoch()
        watched = self.learner.watch(say) if is_first() else {}
        if watched:
            entry["watched"] = watched
        judge = self.learner.judge
        judged = entry["val"].get("loss") if judge is None else judge(watched)
        if judged is None or progress.best_loss is None or judged < progress.best_loss:
            progress.best_loss, progress.best_epoch = judged, progress.epoch
            self._best = self.learner.keep() if is_first() else None
        self._last = self.learner.keep() if is_first() else None
        if is_first():
            self.run.log(entry)
        self._is_saved = False
        return entry

    def save(self) -> list[Callable[[], None]]:
        """Return what writes models and state as they are now; nothing if they are written.

        The models are written before the state that goes on from them.
        """
        self.tick()
        if self._is_saved or not is_first():
            return []
        self._is_saved = True
        state = keep_state(self.learner.model, self._optimizer, self.progress)
        return [*self.save_models(), partial(state, self.run.state_path)]

    def save_models(self) -> list[Callable[[], None]]:
        """Return what writes the models of the best and of the last epoch that are not written."""
        kept = (self._best, self.run.model_path("best")), (self._last, self.run.model_path("last"))
        self._best = self._last = None
        return [partial(write, path) for write, path in kept if write is not None]

    def tick(self) -> None:
        """Count the time since the last call, or since it was brought here."""
        now = time.monotonic()
        self.progress.epoch_seconds += now - self._marked
        self._marked = now

    def _add_gradients(self, loss: Tensor) -> None:
        """Do what `loss.backward()` does, but all of it or nothing."""
        groups = self._optimizer.param_groups
        weights = [weight for group in groups for weight in group["params"] if weight.requires_grad]
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        for weight, gradient in zip(weights, found, strict=True):
            if gradient is not None and weight.grad is None:
                weight.grad = torch.empty_like(weight).copy_(gradient)
            elif gradient is not None:
                weight.grad.add_(gradient)

    def _change_weights(self, steps_in_all: int) -> None:
        for group in self._optimizer.param_groups:
            average_gradients(group["params"])
            factor = self.learner.schedule(self.progress.steps, steps_in_all)
            group["lr"] = self.settings.learning_rate * factor
            self.learner.limit_gradients(group["params"])
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.progress.steps += 1

    def _has_gradients(self) -> bool:
        groups = self._optimizer.param_groups
        each = (weight.grad is not None for group in groups for weight in group["params"])
        return largest(any(each)) > 0
