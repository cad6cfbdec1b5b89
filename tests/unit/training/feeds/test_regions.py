import pytest
import torch

from wsikd.data.augment.regions import AugmentSettings, augment, draw_augmentation
from wsikd.models.weights import ModelDescription
from wsikd.training.feeds.regions import Augmentation, Feed

CPU = torch.device("cpu")
COLOURS = {"mean": (0.2, 0.4, 0.6), "std": (0.1, 0.2, 0.5)}


def make_description(magnification):
    return ModelDescription(
        architecture="resnet10w32",
        classes=("a", "b"),
        magnification=magnification,
        mpp=10 / magnification,
        **COLOURS,
    )


@pytest.fixture
def items():
    random = torch.Generator().manual_seed(0)
    sizes = [(8, 12), (16, 4), (8, 8)]
    return [
        {
            "fine": torch.randint(256, (3, *size), generator=random, dtype=torch.uint8),
            "coarse": torch.randint(256, (3, *size), generator=random, dtype=torch.uint8),
            "label": torch.tensor(index % 2),
            "index": torch.tensor(index),
        }
        for index, size in enumerate(sizes)
    ]


def standardise_by_hand(image):
    mean, std = (torch.tensor(COLOURS[name])[:, None, None] for name in ("mean", "std"))
    return (image / 255 - mean) / std


def test_without_an_epoch_images_are_standardised_and_nothing_else(items):
    feed = Feed(items, {"fine": make_description(10)}, CPU, augmentation=_every_change())
    for item, batch in zip(items, feed.batches(range(3)), strict=True):
        assert torch.allclose(batch["fine"][0], standardise_by_hand(item["fine"]), atol=1e-6)


def test_items_come_in_the_order_that_is_asked_for(items):
    feed = Feed(items, {}, CPU)
    assert [batch["index"].tolist() for batch in feed.batches([2, 0])] == [[2], [0]]
    assert [batch["index"].tolist() for batch in feed.batches([1])] == [[1]]


def test_views_of_one_item_get_the_same_draw(items):
    same = [{**item, "coarse": item["fine"]} for item in items]
    views = {"fine": make_description(10), "coarse": make_description(5)}
    for batch in Feed(same, views, CPU, augmentation=_every_change()).batches(range(3), epoch=1):
        assert torch.equal(batch["fine"], batch["coarse"])


def test_the_draw_is_that_of_seed_epoch_and_index(items):
    feed = Feed(items, {"fine": make_description(10)}, CPU, augmentation=_every_change(seed=5))
    (batch,) = feed.batches([1], epoch=3)
    drawn = augment(items[1]["fine"] / 255, draw_augmentation(AugmentSettings(), 5, 3, 1))
    assert torch.allclose(batch["fine"][0], standardise_by_hand(255 * drawn), atol=1e-5)


def test_a_batch_is_named_by_its_items(items):
    feed = Feed(items, {}, CPU, names=["s1/region-000", "s1/region-001", "s2/region-000"])
    (batch,) = feed.batches([2])
    assert feed.name(batch) == "s2/region-000"


def _every_change(seed=0):
    return Augmentation(AugmentSettings(), seed)
