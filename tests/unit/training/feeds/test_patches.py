"""Batches of packed patches."""

import numpy as np
import pytest
import torch

from wsikd.data.augment.pairs import DistortSettings
from wsikd.models.weights import ModelDescription
from wsikd.training.feeds.patches import Distortion, PatchFeed, PatchView

READS = ModelDescription(
    architecture="resnet10w32",
    classes=(),
    magnification=10,
    mpp=1,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.5, 0.5),
)
CPU = torch.device("cpu")


@pytest.fixture
def patches():
    return np.random.default_rng(0).integers(0, 256, (7, 12, 10, 3), np.uint8)


def make(patches, chosen=range(7), **options):
    views = {"first": PatchView(patches, READS, 0), "second": PatchView(patches, READS, 1)}
    return PatchFeed(views, list(chosen), 2, CPU, **options)


def test_gives_the_chosen_patches_standardised_in_the_order_asked_for(patches):
    feed = make(patches, chosen=[6, 2, 4])
    (batch, rest) = feed.batches([2, 0, 1])
    assert batch.indices == (4, 6)
    assert rest.indices == (2,)
    red = patches[[4, 6], :, :, 0] / 255
    np.testing.assert_allclose(batch["first"].pixels[:, 0], (red - 0.5) / 0.25, atol=1e-6)


def test_each_epoch_is_another_order_of_whole_batches(patches):
    feed = make(patches)
    first, second = feed.order(0, 1), feed.order(0, 2)
    assert len(first) == 6  # the seventh fills no batch
    assert first != second
    assert first == make(patches).order(0, 1)


def test_all_patches_have_their_turn_over_the_epochs(patches):
    feed = make(patches)
    seen = {item for epoch in range(1, 20) for item in feed.order(0, epoch)}
    assert seen == set(range(7))


def test_the_two_views_of_a_patch_are_varied_by_draws_of_their_own(patches):
    feed = make(patches, distortion=Distortion(DistortSettings(), 0))
    (batch, *_) = feed.batches([0, 1], epoch=1)
    assert not torch.equal(batch["first"].pixels, batch["second"].pixels)


def test_a_patch_is_varied_alike_in_whatever_batch_it_comes(patches):
    feed = make(patches, distortion=Distortion(DistortSettings(), 0))
    (with_one, *_) = feed.batches([3, 1], epoch=4)
    (with_five, *_) = feed.batches([5, 3], epoch=4)
    torch.testing.assert_close(with_one["first"].pixels[0], with_five["first"].pixels[1])


def test_without_an_epoch_nothing_is_varied(patches):
    feed = make(patches, distortion=Distortion(DistortSettings(), 0))
    (batch, *_) = feed.batches([3, 1])
    assert torch.equal(batch["first"].pixels, batch["second"].pixels)


def test_gives_labels_and_names(patches):
    labels = torch.arange(7) * 10
    feed = make(patches, labels=labels, name=lambda row: f"patch {row}")
    (batch, *_) = feed.batches([3, 1, 2])
    assert batch.labels.tolist() == [30, 10]
    assert feed.name(batch) == "patch 3 and 1 more"


def test_a_step_is_a_batch_of_its_items(patches):
    feed = make(patches, distortion=Distortion(DistortSettings(), 0))
    order = feed.order(0, 1)
    steps = [list(step) for step in feed.steps(order, 3, epoch=1)]
    assert [len(step) for step in steps] == [1, 1]
    assert [index for (batch,) in steps for index in batch.indices] == order
    (again, *_) = feed.again(order[:2], 1)
    torch.testing.assert_close(again["first"].pixels, steps[0][0]["first"].pixels[:2])
