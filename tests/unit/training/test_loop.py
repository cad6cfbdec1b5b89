"""The loop on a linear model, whose losses and gradients are known by hand."""

import os
import signal
from functools import partial
from operator import itemgetter

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from wsikd.errors import DivergedError, StoppedError
from wsikd.models.images import Images
from wsikd.runs import RunFolder
from wsikd.training.batch import Batch
from wsikd.training.checkpoints import load_state
from wsikd.training.feeds.batches import draw_balanced, shuffle
from wsikd.training.loop import Loop
from wsikd.training.settings import TrainingSettings
from wsikd.training.trainee import Learner, Trainee


class Items:
    """A feed of vectors, each in a batch of its own."""

    def __init__(self, count, seed=0, *, names=(), balanced=None):
        random = torch.Generator().manual_seed(seed)
        self.vectors = [torch.randn(4, generator=random) for _ in range(count)]
        self.labels = [torch.tensor(index % 2) for index in range(count)]
        self.names, self.balanced = names, balanced

    def __len__(self):
        return len(self.vectors)

    def order(self, seed, epoch):
        if self.balanced is not None:
            return draw_balanced(self.balanced, seed=seed, epoch=epoch)
        return shuffle(len(self), seed=seed, epoch=epoch)

    def steps(self, order, per_step, *, epoch=None):
        for start in range(0, len(order), per_step):
            yield self.again(order[start : start + per_step], epoch)

    def again(self, order, epoch=None):
        return (self.batch(draw % len(self), epoch) for draw in order)

    def batch(self, index, epoch=None):
        images = {"image": Images(self.vectors[index][None, :, None, None])}
        return Batch((index,), images, self.labels[index][None], epoch=epoch)

    def name(self, batch):
        return self.names[batch.indices[0]]


def make_feed(count, seed=0, **options):
    return Items(count, seed, **options)


def make_model():
    torch.manual_seed(0)
    return nn.Linear(4, 2)


def keep_weights(model):
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    return lambda path: save_file(kept, path)


def loss_of(model, batch):
    return F.cross_entropy(model(batch["image"].pixels.flatten(1)), batch.labels)


def train(
    path, feed, *, val=None, model=None, on_step=None, without=(), abilities=None, **settings
):
    """Train a linear classifier; `on_step` is called before every batch with its number.

    Items `without` terms are passed over; `abilities` are what else the learner can.
    """
    model = model or make_model()
    seen = []

    def step(batch):
        seen.append(batch.indices[0])
        if on_step is not None:
            on_step(len(seen))
        if seen[-1] in without:
            return {}
        return {"cross_entropy": loss_of(model, batch)}

    learner = Learner(model, step, partial(keep_weights, model), **abilities or {})
    path.mkdir(exist_ok=True)  # as RunFolder.start does
    run = RunFolder(path)
    options = {"epochs": 2, "accumulate": 3, "learning_rate": 0.1, **settings}
    trainee = Trainee(run, learner, TrainingSettings(**options))
    Loop([trainee], feed, make_feed(0) if val is None else val).run()
    return model


def weights_of(model):
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])


def ask_to_stop(at, number=signal.SIGTERM):
    return lambda step: os.kill(os.getpid(), number) if step == at else None


def test_a_group_of_regions_steps_along_the_gradient_of_their_mean_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)
    feed = make_feed(7)
    order = shuffle(7, seed=0, epoch=1)
    by_hand = make_model()
    for group in (order[:3], order[3:6], order[6:]):
        images = torch.stack([feed.vectors[index] for index in group])
        labels = torch.stack([feed.labels[index] for index in group])
        loss = F.cross_entropy(by_hand(images), labels)
        gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(by_hand.parameters(), gradients, strict=True):
                weight.sub_(0.1 * gradient)
    model = train(tmp_path, feed, epochs=1, weight_decay=0)
    assert torch.allclose(weights_of(model), weights_of(by_hand), atol=1e-6)


@pytest.mark.parametrize("stop_at", range(1, 15))
def test_a_stopped_run_ends_with_the_weights_of_an_unbroken_one(tmp_path, stop_at):
    feed = make_feed(7)
    unbroken = train(tmp_path / "unbroken", feed)
    with pytest.raises(StoppedError):
        train(tmp_path / "stopped", feed, on_step=ask_to_stop(stop_at))
    resumed = train(tmp_path / "stopped", feed)
    assert torch.equal(weights_of(resumed), weights_of(unbroken))


@pytest.mark.parametrize("stop_at", range(1, 15, 2))
def test_a_stopped_run_of_balanced_draws_ends_with_the_weights_of_an_unbroken_one(
    tmp_path, stop_at
):
    feed = make_feed(7, balanced="abbbbbb")
    unbroken = train(tmp_path / "unbroken", feed)
    with pytest.raises(StoppedError):
        train(tmp_path / "stopped", feed, on_step=ask_to_stop(stop_at))
    resumed = train(tmp_path / "stopped", feed)
    assert torch.equal(weights_of(resumed), weights_of(unbroken))
    assert not torch.equal(weights_of(resumed), weights_of(train(tmp_path / "x", make_feed(7))))


@pytest.mark.parametrize("stop_at", [8, 9])
def test_a_stop_in_validation_changes_neither_weights_nor_log(tmp_path, stop_at):
    feed, val = make_feed(7), make_feed(2, seed=1)
    train(tmp_path / "unbroken", feed, val=val)
    with pytest.raises(StoppedError, match="in epoch 1 after step 3"):
        train(tmp_path / "stopped", feed, val=val, on_step=ask_to_stop(stop_at))
    train(tmp_path / "stopped", feed, val=val)
    logs = [RunFolder(tmp_path / name).read_log() for name in ("unbroken", "stopped")]
    for entry in [*logs[0], *logs[1]]:
        del entry["seconds"]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_says_what_was_saved_and_exits_as_the_signal_does(tmp_path, number, status):
    with pytest.raises(StoppedError, match="saved in epoch 1 after step 2; run the same") as stop:
        train(tmp_path, make_feed(7), on_step=ask_to_stop(5, number))
    assert stop.value.exit_status == status


def test_the_log_holds_the_mean_loss_of_every_epoch(tmp_path):
    feed, val = make_feed(5), make_feed(4, seed=1)
    # a rate this small leaves the weights, so every epoch's loss is that of the first weights
    train(tmp_path, feed, val=val, learning_rate=1e-12, accumulate=2)
    model = make_model()
    expected = [
        sum(loss_of(model, each.batch(index)).item() for index in range(len(each))) / len(each)
        for each in (feed, val)
    ]
    entries = RunFolder(tmp_path).read_log()
    assert [entry["epoch"] for entry in entries] == [1, 2]
    assert [entry["steps"] for entry in entries] == [3, 6]
    for entry in entries:
        assert entry["train"]["loss"] == pytest.approx(expected[0])
        assert entry["train"]["cross_entropy"] == pytest.approx(expected[0])
        assert entry["val"]["loss"] == pytest.approx(expected[1])


def test_the_best_model_is_of_the_epoch_with_the_lowest_validation_loss(tmp_path):
    val = make_feed(4, seed=1)
    for epochs in range(1, 7):
        train(tmp_path / str(epochs), make_feed(6), val=val, epochs=epochs)
    losses = [entry["val"]["loss"] for entry in RunFolder(tmp_path / "6").read_log()]
    best = losses.index(min(losses)) + 1
    assert 1 <= best < 6, "the data no longer over-fit; choose others"
    chosen = load_file(RunFolder(tmp_path / "6").model_path("best"))
    expected = load_file(RunFolder(tmp_path / str(best)).model_path("last"))
    assert all(torch.equal(chosen[name], expected[name]) for name in expected)


def test_without_validation_the_last_epoch_is_the_model_and_it_says_so(tmp_path, capsys):
    train(tmp_path, make_feed(4))
    best, last = (load_file(RunFolder(tmp_path).model_path(kind)) for kind in ("best", "last"))
    assert all(torch.equal(best[name], last[name]) for name in best)
    assert "no validation regions, so the last epoch is the model" in capsys.readouterr().err


def test_patience_ends_a_run_that_does_not_improve(tmp_path):
    train(tmp_path, make_feed(6), val=make_feed(4, seed=1), epochs=100, patience=3)
    losses = [entry["val"]["loss"] for entry in RunFolder(tmp_path).read_log()]
    assert len(losses) == losses.index(min(losses)) + 1 + 3


def test_what_is_frozen_stays_as_it_is_though_validation_comes_between(tmp_path):
    frozen = nn.BatchNorm1d(4).requires_grad_(False)
    model = nn.Sequential(frozen, nn.Linear(4, 2))
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    train(tmp_path, make_feed(6), val=make_feed(2, seed=1), model=model, epochs=3)
    for name, value in frozen.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_loss_that_is_not_finite_is_refused_by_region_and_leaves_what_was_saved(tmp_path):
    feed, model = make_feed(4, names=["s1/region-000", "s1/region-001", "s2/region-000", "x"]), None
    train(tmp_path, feed, epochs=1)
    model = make_model()
    saved = load_state(RunFolder(tmp_path).state_path, model, torch.optim.Adam(model.parameters()))
    first = shuffle(4, seed=0, epoch=2)[0]  # of the step, and from there on every loss is

    def spoil(step):
        if step == 2:
            with torch.no_grad():
                model.weight.fill_(float("nan"))

    message = rf"loss must be finite, is not in epoch 2 at {feed.names[first]}; lower"
    with pytest.raises(DivergedError, match=message):
        train(tmp_path, feed, model=model, on_step=spoil)
    again = make_model()
    kept = load_state(RunFolder(tmp_path).state_path, again, torch.optim.Adam(again.parameters()))
    assert kept == saved
    assert weights_of(again).isfinite().all()


def test_a_checkpoint_is_due_after_its_minutes_within_an_epoch(tmp_path):
    def fail(step):
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, make_feed(7), on_step=fail, accumulate=2, checkpoint_minutes=0)
    model = make_model()
    state = load_state(RunFolder(tmp_path).state_path, model, torch.optim.Adam(model.parameters()))
    assert (state.epoch, state.position, state.steps) == (0, 4, 2)


def test_every_epoch_has_its_own_order_of_all_items():
    orders = [shuffle(50, seed=3, epoch=epoch) for epoch in (1, 2)]
    assert orders[0] != orders[1]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert shuffle(50, seed=4, epoch=1) != orders[0]


class TestWithoutTerms:
    def test_a_step_is_passed_over_and_the_others_are_taken(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)
        feed, order = make_feed(4), shuffle(4, seed=0, epoch=1)
        by_hand = make_model()
        for index in (order[0], order[2], order[3]):
            loss = loss_of(by_hand, feed.batch(index))
            gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
            with torch.no_grad():
                for weight, gradient in zip(by_hand.parameters(), gradients, strict=True):
                    weight.sub_(0.1 * gradient)
        options = {"without": order[1:2], "epochs": 1, "accumulate": 1, "weight_decay": 0}
        model = train(tmp_path, feed, **options)
        assert torch.allclose(weights_of(model), weights_of(by_hand), atol=1e-6)
        (entry,) = RunFolder(tmp_path).read_log()
        assert entry["steps"] == 3

    def test_momentum_does_not_move_the_weights_either(self, tmp_path):
        feed, order = make_feed(3), shuffle(3, seed=0, epoch=1)
        kept = []
        model = make_model()

        def keep(_):
            kept.append(weights_of(model).clone())

        options = {"without": order[1:2], "epochs": 1, "accumulate": 1}
        train(tmp_path, feed, model=model, on_step=keep, **options)
        assert torch.equal(kept[1], kept[2])

    def test_the_logged_loss_is_the_mean_over_what_had_terms(self, tmp_path):
        feed, val = make_feed(4), make_feed(4, seed=1)
        train(tmp_path, feed, val=val, without=(1,), epochs=1, learning_rate=1e-12)
        (entry,) = RunFolder(tmp_path).read_log()
        model = make_model()
        for each, logged in ((feed, entry["train"]), (val, entry["val"])):
            losses = [loss_of(model, each.batch(index)).item() for index in (0, 2, 3)]
            assert logged["loss"] == pytest.approx(sum(losses) / 3)

    def test_an_epoch_of_nothing_else_is_logged_and_said(self, tmp_path, capsys):
        model = train(tmp_path, make_feed(3), without=range(3), epochs=1)
        assert torch.equal(weights_of(model), weights_of(make_model()))
        (entry,) = RunFolder(tmp_path).read_log()
        assert (entry["steps"], entry["train"]) == (0, {})
        assert "epoch 1/1, 0 steps, nothing to learn from" in capsys.readouterr().err

    @pytest.mark.parametrize("stop_at", range(1, 9))
    def test_a_stopped_run_ends_with_the_weights_of_an_unbroken_one(self, tmp_path, stop_at):
        options = {"without": (0, 2), "accumulate": 1}
        unbroken = train(tmp_path / "unbroken", make_feed(4), **options)
        with pytest.raises(StoppedError):
            train(tmp_path / "stopped", make_feed(4), on_step=ask_to_stop(stop_at), **options)
        resumed = train(tmp_path / "stopped", make_feed(4), **options)
        assert torch.equal(weights_of(resumed), weights_of(unbroken))
        logs = [RunFolder(tmp_path / name).read_log() for name in ("unbroken", "stopped")]
        assert [entry["train"] for entry in logs[0]] == [entry["train"] for entry in logs[1]]


def watch_for(*values):
    """Watch a number that takes these values, epoch by epoch."""
    coming = iter(values)
    return lambda _: {"error": next(coming)}


def ends_below(limit):
    return lambda log: log[-1]["watched"]["error"] < limit


class TestWatching:
    def test_the_best_model_is_of_the_epoch_with_the_smallest_watched_number(self, tmp_path):
        abilities = {"watch": watch_for(0.5, 0.2, 0.3), "judge": itemgetter("error")}
        train(tmp_path / "all", make_feed(6), abilities=abilities, epochs=3)
        train(tmp_path / "two", make_feed(6), epochs=2)
        chosen = load_file(RunFolder(tmp_path / "all").model_path("best"))
        expected = load_file(RunFolder(tmp_path / "two").model_path("last"))
        assert all(torch.equal(chosen[name], expected[name]) for name in expected)
        log = RunFolder(tmp_path / "all").read_log()
        assert [entry["watched"]["error"] for entry in log] == [0.5, 0.2, 0.3]

    def test_training_ends_as_soon_as_it_has_converged(self, tmp_path):
        watch = watch_for(0.5, 0.4, 0.1)
        abilities = {"watch": watch, "has_converged": ends_below(0.2)}
        train(tmp_path / "early", make_feed(6), abilities=abilities, epochs=100)
        assert len(RunFolder(tmp_path / "early").read_log()) == 3
        train(tmp_path / "three", make_feed(6), epochs=3)
        last = [load_file(RunFolder(tmp_path / n).model_path("last")) for n in ("early", "three")]
        assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])

    def test_what_has_converged_is_not_trained_further(self, tmp_path):
        abilities = {"watch": watch_for(0.1), "has_converged": ends_below(0.2)}
        trained = train(tmp_path, make_feed(6), abilities=abilities, epochs=5)
        called = []
        again = train(tmp_path, make_feed(6), abilities=abilities, epochs=5, on_step=called.append)
        assert called == []
        assert torch.equal(weights_of(again), weights_of(trained))

    def test_a_stopped_run_remembers_which_epoch_was_best(self, tmp_path):
        abilities = {"watch": watch_for(0.2, 0.3), "judge": itemgetter("error")}
        train(tmp_path / "one", make_feed(4), epochs=1)
        stop = ask_to_stop(6)  # in the second epoch
        with pytest.raises(StoppedError):
            train(tmp_path / "two", make_feed(4), abilities=abilities, on_step=stop)
        train(tmp_path / "two", make_feed(4), abilities=abilities)
        chosen = load_file(RunFolder(tmp_path / "two").model_path("best"))
        expected = load_file(RunFolder(tmp_path / "one").model_path("last"))
        assert all(torch.equal(chosen[name], expected[name]) for name in expected)


def test_the_item_whose_loss_is_not_finite_is_found_among_those_of_a_step(tmp_path):
    feed = make_feed(4, names=["a", "b", "c", "d"])
    feed.vectors[2] = torch.full((4,), float("inf"))
    with pytest.raises(DivergedError, match="loss must be finite, is not in epoch 1 at c; lower"):
        train(tmp_path, feed, accumulate=4)


class TestSideBySide:
    """Several models that learn from the same batches."""

    def trainee(self, path, seed, on_step=lambda: None, **settings):
        torch.manual_seed(seed)
        model = nn.Linear(4, 2)

        def step(batch):
            on_step()
            return {"cross_entropy": loss_of(model, batch)}

        path.mkdir(parents=True, exist_ok=True)
        options = {"epochs": 3, "accumulate": 3, "learning_rate": 0.1, **settings}
        learner = Learner(model, step, partial(keep_weights, model))
        return Trainee(RunFolder(path), learner, TrainingSettings(**options))

    def trained(self, folder, seeds=(1, 2), **options):
        each = [self.trainee(folder / str(seed), seed, **options) for seed in seeds]
        Loop(each, make_feed(7), make_feed(3, seed=1)).run()
        return each

    def assert_equal(self, one, other):
        assert torch.equal(weights_of(one.learner.model), weights_of(other.learner.model))
        for kind in ("best", "last"):
            models = [load_file(each.run.model_path(kind)) for each in (one, other)]
            assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
        logs = [each.run.read_log() for each in (one, other)]
        for entry in [*logs[0], *logs[1]]:
            del entry["seconds"]
        assert logs[0] == logs[1]

    @pytest.mark.parametrize("patience", [None, 1])
    def test_each_is_trained_as_if_it_were_alone(self, tmp_path, patience):
        together = self.trained(tmp_path / "together", patience=patience)
        for one, seed in zip(together, (1, 2), strict=True):
            (alone,) = self.trained(tmp_path / "alone", (seed,), patience=patience)
            self.assert_equal(one, alone)

    @pytest.mark.parametrize("stop_at", range(2, 60, 7))
    def test_stopped_they_go_on_together(self, tmp_path, stop_at):
        unbroken = self.trained(tmp_path / "unbroken")
        taken = []

        def stop():
            taken.append(0)
            if len(taken) == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(StoppedError, match="and 1 more: saved in epoch"):
            self.trained(tmp_path / "stopped", on_step=stop)
        for one, other in zip(self.trained(tmp_path / "stopped"), unbroken, strict=True):
            self.assert_equal(one, other)

    def test_one_that_has_come_further_waits_for_the_others(self, tmp_path):
        unbroken = self.trained(tmp_path / "unbroken")
        self.trained(tmp_path / "apart", (1,), epochs=2)
        for one, other in zip(self.trained(tmp_path / "apart"), unbroken, strict=True):
            self.assert_equal(one, other)
