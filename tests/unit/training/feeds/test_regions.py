import threading
from collections import Counter

import pytest
import torch

from wsikd.data.augment.regions import AugmentSettings, augment, draw_augmentation
from wsikd.geometry import Size
from wsikd.models.weights import ModelDescription
from wsikd.training.feeds import regions
from wsikd.training.feeds.batches import draw_balanced
from wsikd.training.feeds.regions import About, Augmentation, FeedOptions, RegionFeed

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


class Items:
    """Two views of each item, that are there already; says which thread reads."""

    def __init__(self, sizes=((8, 12), (16, 4), (8, 8))):
        random = torch.Generator().manual_seed(0)
        self.views = [
            {
                name: torch.randint(256, (3, *size), generator=random, dtype=torch.uint8)
                for name in ("fine", "coarse")
            }
            for size in sizes
        ]
        self.threads = set()

    def __len__(self):
        return len(self.views)

    def size(self, index):
        return Size(self.views[index]["fine"].shape[2], self.views[index]["fine"].shape[1])

    def read(self, index, without):
        self.threads.add(threading.current_thread().name)
        return {name: view for name, view in self.views[index].items() if name not in without}


VIEWS = {"fine": make_description(10), "coarse": make_description(5)}


@pytest.fixture
def items():
    return Items()


def standardise_by_hand(image):
    mean, std = (torch.tensor(COLOURS[name])[:, None, None] for name in ("mean", "std"))
    return (image / 255 - mean) / std


def every_change(seed=0):
    return Augmentation(AugmentSettings(), seed)


def flat(steps):
    return [batch for batches in steps for batch in batches]


def test_without_an_epoch_images_are_standardised_and_nothing_else(items):
    feed = RegionFeed(items, VIEWS, CPU, variation=every_change())
    for item, batch in zip(items.views, flat(feed.steps(range(3), 2)), strict=True):
        assert batch.epoch is None
        assert torch.allclose(batch["fine"].pixels[0], standardise_by_hand(item["fine"]), atol=1e-6)


def test_items_come_in_the_order_that_is_asked_for_step_by_step(items):
    feed = RegionFeed(items, VIEWS, CPU)
    steps = [[batch.indices for batch in step] for step in feed.steps([2, 0, 1], 2)]
    assert steps == [[(2,), (0,)], [(1,)]]


def test_views_of_one_item_get_the_same_draw(items):
    for item in items.views:
        item["coarse"] = item["fine"]
    feed = RegionFeed(items, VIEWS, CPU, variation=every_change())
    for batch in flat(feed.steps(range(3), 3, epoch=1)):
        assert batch.epoch == 1
        assert torch.equal(batch["fine"].pixels, batch["coarse"].pixels)


def test_the_draw_is_that_of_seed_epoch_and_index(items):
    feed = RegionFeed(items, VIEWS, CPU, variation=every_change(seed=5))
    (batch,) = flat(feed.steps([1], 1, epoch=3))
    drawn = augment(items.views[1]["fine"] / 255, draw_augmentation(AugmentSettings(), 5, 3, 1))
    assert torch.allclose(batch["fine"].pixels[0], standardise_by_hand(255 * drawn), atol=1e-5)
    (again,) = feed.again([1], 3)
    assert torch.equal(again["fine"].pixels, batch["fine"].pixels)


def test_a_batch_is_named_by_its_items_and_knows_their_labels(items):
    about = About(["s1/region-000", "s1/region-001", "s2/region-000"], [0, 1, -1], [1.0, 2.0, 3.0])
    feed = RegionFeed(items, VIEWS, CPU, about=about)
    (batch,) = flat(feed.steps([2], 1))
    assert feed.name(batch) == "s2/region-000"
    assert (batch.labels.tolist(), batch.weights.tolist()) == ([-1], [3.0])


def test_a_view_that_is_needless_is_not_read(items):
    options = FeedOptions(needless=lambda indices: {"fine"} if 1 in indices else ())
    feed = RegionFeed(items, VIEWS, CPU, options=options)
    assert [list(batch.images) for batch in flat(feed.steps(range(3), 3))] == [
        ["fine", "coarse"],
        ["coarse"],
        ["fine", "coarse"],
    ]


class TestPutTogether:
    SIZES = ((30, 20), (30, 22), (8, 9), (9, 8), (100, 100), (28, 20))

    def test_a_step_has_the_same_items_in_fewer_batches_each_as_it_would_be_alone(self):
        items = Items(self.SIZES)
        feed = RegionFeed(
            items, VIEWS, CPU, variation=every_change(), options=FeedOptions(budget=4000)
        )
        alone = RegionFeed(items, VIEWS, CPU, variation=every_change())
        batches = flat(feed.steps(range(6), 6, epoch=2))
        assert 1 < len(batches) < 6
        assert sorted(index for batch in batches for index in batch.indices) == list(range(6))
        single = {batch.indices[0]: batch for batch in flat(alone.steps(range(6), 6, epoch=2))}
        for batch in batches:
            for place, index in enumerate(batch.indices):
                for name in VIEWS:
                    size = batch[name].each_size()[place]
                    own = batch[name].pixels[place, :, : size.height, : size.width]
                    assert torch.equal(own[None], single[index][name].pixels)
                    assert own.abs().sum() == pytest.approx(
                        batch[name].pixels[place].abs().sum().item(), rel=1e-5
                    )

    def test_little_of_it_is_padding(self):
        items = Items(self.SIZES)
        feed = RegionFeed(items, {"fine": VIEWS["fine"]}, CPU, options=FeedOptions(budget=1e6))
        counts = [batch.count_pixels() for batch in flat(feed.steps(range(6), 6))]
        padded, own = (sum(column) for column in zip(*counts, strict=True))
        assert own == sum(height * width for height, width in self.SIZES)
        assert own <= padded <= 1.3 * own


@pytest.mark.parametrize("count", [0, 2])
def test_threads_read_ahead_and_the_order_stays(count):
    items = Items([(8, 8)] * 20)
    feed = RegionFeed(items, VIEWS, CPU, options=FeedOptions(threads=count))
    found = [batch.indices[0] for batch in flat(feed.steps(range(20), 3))]
    assert found == list(range(20))
    here = threading.current_thread().name
    assert (here in items.threads) == (count == 0)


def test_of_several_processes_each_learns_from_its_part_and_again_from_all(items, monkeypatch):
    seen = []
    for number in range(2):
        monkeypatch.setattr(regions, "process_count", lambda: 2)
        monkeypatch.setattr(regions, "rank", lambda number=number: number)
        feed = RegionFeed(items, VIEWS, CPU)
        seen.append([batch.indices[0] for batch in flat(feed.steps(range(3), 3, epoch=1))])
        assert [batch.indices[0] for batch in feed.again(range(3), 1)] == [0, 1, 2]
    assert seen == [[0], [1, 2]]  # 96 pixels, and 64 twice


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
        feed = RegionFeed(items, VIEWS, CPU, variation=every_change(), about=About(balanced="aab"))
        order = feed.order(7, 3)
        assert order == draw_balanced("aab", seed=7, epoch=3)
        first, second = flat(feed.steps([2, 2 + 3], 2, epoch=1))
        assert first.indices == second.indices == (2,)
        one, other = (batch["fine"].pixels for batch in (first, second))
        assert one.shape != other.shape or not torch.equal(one, other)
