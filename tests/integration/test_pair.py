"""Training by pairs on small folders of images, and what it refuses."""

import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from wsikd.data.augment.pairs import DistortSettings
from wsikd.data.pairs import open_views
from wsikd.data.patches import open_patches
from wsikd.errors import ConfigError, DivergedError, ResumeError, StoppedError
from wsikd.methods import collapse, pair
from wsikd.methods.collapse import spread
from wsikd.methods.joint_embedding import make_step
from wsikd.methods.pair_settings import PairSettings
from wsikd.models import build_model
from wsikd.models.branches import Branch, Branches
from wsikd.models.expander import Expander
from wsikd.models.images import Images
from wsikd.models.weights import load_model
from wsikd.training.batch import Batch
from wsikd.training.trainee import Trainee
from wsikd.workspace import Workspace

QUICK = {
    "mag": 10,
    "expander": (16, 16),
    "batch": 4,
    "epochs": 2,
    "device": "cpu",
    "learning_rate": 1e-3,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return a folder of ten images of noise in two classes."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(10):
        path = folder / ("dark", "light")[number % 2] / f"image-{number}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = random.integers(0, 120, (32, 32, 3), np.uint8) + np.uint8(120 * (number % 2))
        Image.fromarray(pixels).save(path)
    return folder


def train(workspace, images, **options):
    settings = PairSettings(**QUICK | {"images": images} | options)
    place = Workspace(workspace)
    source = open_patches(settings, place)
    shown = open_views(settings, source)
    (run,) = pair.pair(source, shown, place.cache, place.runs, settings)
    return run


@pytest.mark.parametrize("objective", ["vicreg", "simclr", "simclr-cross", "barlow"])
def test_every_objective_trains_both_encoders(images, tmp_path, objective):
    run = train(tmp_path, images, pairing="downsample", objective=objective, downsample_to=2)
    assert run.name == f"pair-downsample-{objective}-10x"
    primary, description = load_model(run.model_path())
    privileged, _ = load_model(run.model_path(branch="privileged"))
    assert description.classes == ()
    assert not torch.equal(primary.conv1.weight, privileged.conv1.weight)
    (first, last) = run.read_log()
    assert first["steps"] == 2  # ten images are two batches of four, and a rest
    assert last["watched"]["privileged_spread"] > 0


def test_what_was_seen_is_written_down(images, tmp_path):
    run = train(tmp_path, images, pairing="symmetric")
    assert sorted(run.read_learnt()["slide_id"]) == sorted(f"image-{k}" for k in range(10))


def test_test_images_are_not_learnt_from_unless_asked_for(images, tmp_path):
    options = {"images": images, "test_images": images / "dark", "pairing": "symmetric"}
    settings = PairSettings(**QUICK | options)
    with pytest.raises(Exception, match="names of their own"):
        open_patches(settings, Workspace(tmp_path))


def test_shared_weights_are_one_encoder(images, tmp_path):
    run = train(tmp_path, images, pairing="symmetric", shared=True)
    assert run.name == "pair-symmetric-vicreg-shared-10x"
    first, second = (load_file(run.model_path(branch=name)) for name in ("primary", "privileged"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_triple_trains_on_two_primary_views_and_one_privileged(images, tmp_path):
    run = train(tmp_path, images, pairing="downsample", triple=True)
    assert run.name == "pair-downsample-vicreg-triple-10x"
    assert run.is_complete()


@pytest.mark.parametrize("kind", ["mse", "ssim"])
def test_a_u_net_learns_to_predict_the_second_image(images, tmp_path, kind):
    options = {"pairing": "downsample", "downsample_to": 31, "epochs": 12, "learning_rate": 3e-3}
    still = DistortSettings(crop=0, noise=0, rotation=0, solarize=0, colour=0)
    run = train(tmp_path, images, objective=f"predict-{kind}", distort=still, **options)
    losses = [entry["train"][kind] for entry in run.read_log()]
    assert losses[-1] < 0.8 * losses[0]
    assert not run.model_path(branch="privileged").exists()


def test_published_behaviour_is_trained_as_well(images, tmp_path):
    run = train(tmp_path, images, pairing="crop_pad", compat="release")
    assert run.name == "pair-crop_pad-vicreg-release-10x"
    _, description = load_model(run.model_path())
    assert description.mean == (0, 0, 0)
    assert description.std == pytest.approx([1 / 255] * 3)


def test_a_stopped_training_ends_with_the_weights_of_an_unbroken_one(images, tmp_path, monkeypatch):
    options = {"pairing": "downsample", "model": "resnet10w32-bn"}
    unbroken = train(tmp_path / "unbroken", images, **options)
    take_step, taken = Trainee.take_step, []

    def stop_then_step(self, *args):
        taken.append(args)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(self, *args)

    monkeypatch.setattr(Trainee, "take_step", stop_then_step)
    with pytest.raises(StoppedError):
        train(tmp_path, images, **options)
    resumed = train(tmp_path, images, **options)
    for branch in ("primary", "privileged"):
        found, expected = (load_file(run.model_path(branch=branch)) for run in (resumed, unbroken))
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_training_on_other_pairs_is_not_taken_up(images, tmp_path):
    train(tmp_path, images, pairing="symmetric", name="mine")
    with pytest.raises(ResumeError, match="mine: was started with pairing 'symmetric'"):
        train(tmp_path, images, pairing="downsample", name="mine")


def test_a_batch_larger_than_what_there_is_is_refused(images, tmp_path):
    with pytest.raises(ConfigError, match="--batch must be at most the 10 patches to learn from"):
        train(tmp_path, images, pairing="symmetric", batch=11)


def test_a_network_that_cannot_be_built_leaves_no_run_behind(images, tmp_path):
    with pytest.raises(
        ConfigError, match="--expander must be at least 1 wide in every layer, got 0"
    ):
        train(tmp_path, images, pairing="symmetric", expander=(0,))
    assert not list(tmp_path.glob("runs/*"))


def test_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        PairSettings(pairing="symmetric", batch=1)


def test_a_u_net_has_no_second_branch_to_share_weights_with(images, tmp_path):
    with pytest.raises(ConfigError, match="--shared needs two branches, --objective predict-mse"):
        train(tmp_path, images, pairing="downsample", objective="predict-mse", shared=True)


def test_a_u_net_has_to_predict_another_image(images, tmp_path):
    with pytest.raises(ConfigError, match="--objective predict-mse needs two images to tell apart"):
        train(tmp_path, images, pairing="symmetric", objective="predict-mse")
    assert not list(tmp_path.glob("*"))  # not even a cache


def test_a_loss_that_is_not_finite_is_named(images, tmp_path):
    with pytest.raises(DivergedError, match=r"loss must be finite, is .* lower --learning-rate"):
        train(tmp_path, images, pairing="symmetric", learning_rate=1e30, epochs=5, warmup_epochs=0)


def test_collapsed_projections_are_warned_of_with_their_spread(
    images, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(collapse, "_COLLAPSED", 2.0)  # no projections are spread as far
    train(tmp_path, images, pairing="symmetric")
    assert "projections have collapsed: their primary spread is 0." in capsys.readouterr().err


def test_constant_projections_have_no_spread():
    assert spread(torch.ones(8, 3) * torch.rand(8, 1)) == pytest.approx(0, abs=1e-6)


def test_equal_branches_and_views_have_no_invariance_loss():
    encoder = build_model("resnet10w32", 0)
    branch = Branch(encoder, Expander(encoder.embedding_width, (8,)))
    step = make_step(Branches(branch), PairSettings(pairing="symmetric"))
    images = Images(torch.rand(4, 3, 32, 32))
    batch = Batch(tuple(range(4)), {"primary": images, "privileged": images})
    assert step(batch)["invariance"].item() == 0
