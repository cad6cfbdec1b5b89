from collections import Counter

import pytest
import torch

from wsikd.data.augment.regions import AugmentSettings, augment, draw_augmentation
from wsikd.models.weights import ModelDescription
from wsikd.training.feeds.batches import draw_balanced
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


class TestDrawingInBalance:
    LABELS = ("rare", *["often"] * 9, *["seldom"] * 2)

    def test_an_epoch_has_its_length_and_each_class_equally_often(self):
        draws = draw_balanced(self.LABELS, seed=0, epoch=1)
        assert len(draws) == 12
        drawn = Counter(self.LABELS[draw % 12] for draw in draws)
        assert drawn == {"rare": 4, "often": 4, "seldom": 4}

    def test_no_item_comes_twice_more_often_than_another_of_its_class(self):
        draws = draw_balanced(self.LABELS, seed=0, epoch=1)
        times = Counter(draw % 12 for draw in draws)
        assert times[0] == 4
        assert times[10] == times[11] == 2
        assert max(times[item] for item in range(1, 10)) == 1
        assert len(set(draws)) == 12  # a second draw of an item is another draw

    def test_a_rest_goes_to_other_classes_in_other_epochs(self):
        seen = set()
        for epoch in range(20):
            counts = Counter("abb"[draw % 3] for draw in draw_balanced("abb", seed=0, epoch=epoch))
            assert sorted(counts.values()) == [1, 2]
            seen.add(counts["a"])
        assert seen == {1, 2}

    def test_it_depends_on_seed_and_epoch_alone(self):
        draws = [
            draw_balanced(self.LABELS, seed=seed, epoch=epoch)
            for seed, epoch in ((0, 1), (0, 1), (0, 2), (1, 1))
        ]
        assert draws[0] == draws[1]
        assert draws[0] not in draws[2:]

    def test_a_feed_yields_what_is_drawn_and_varies_a_second_draw_in_another_way(self, items):
        views = {"fine": make_description(10)}
        feed = Feed(items, views, CPU, augmentation=_every_change(), balanced="aab")
        order = feed.order(7, 3)
        assert order == draw_balanced("aab", seed=7, epoch=3)
        first, second = feed.batches([2, 2 + 3], epoch=1)
        assert first["index"].tolist() == second["index"].tolist() == [2]
        assert not torch.equal(first["fine"], second["fine"])
        drawn = augment(items[2]["fine"] / 255, draw_augmentation(AugmentSettings(), 0, 1, 5))
        assert torch.allclose(second["fine"][0], standardise_by_hand(255 * drawn), atol=1e-5)
