import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsikd.geometry import Size
from wsikd.training.feeds.packing import deal, pack

SIZES = st.lists(st.builds(Size, st.integers(1, 400), st.integers(1, 400)), max_size=40)


def area(size):
    return size.width * size.height


def padded(sizes):
    return len(sizes) * max(one.width for one in sizes) * max(one.height for one in sizes)


@given(SIZES, st.floats(0, 1e6))
def test_every_image_is_in_one_batch_that_keeps_the_budget_and_has_little_padding(sizes, budget):
    batches = pack(sizes, budget)
    assert sorted(place for batch in batches for place in batch) == list(range(len(sizes)))
    for batch in batches:
        of_batch = [sizes[place] for place in batch]
        if len(batch) > 1:
            assert padded(of_batch) <= budget
            assert padded(of_batch) <= 1.3 * sum(map(area, of_batch))


def test_images_of_one_size_fill_the_budget():
    batches = pack([Size(10, 10)] * 12, 500)
    assert [len(batch) for batch in batches] == [5, 5, 2]


@given(SIZES, st.integers(1, 6))
def test_every_image_is_dealt_once_and_loads_differ_by_one_image_at_most(sizes, count):
    parts = deal(sizes, count)
    assert len(parts) == count
    assert sorted(place for part in parts for place in part) == list(range(len(sizes)))
    loads = [sum(area(sizes[place]) for place in part) for part in parts]
    assert max(loads) - min(loads) <= max(map(area, sizes), default=0)


def steps_of(sigma, *, regions=32, steps=200):
    """Draw the sizes of the regions of some steps, lognormal with a median of 2 MPix."""
    random = np.random.default_rng(0)
    sides = np.sqrt(2e6 * np.exp(sigma * random.normal(size=(steps, regions)))).astype(int)
    return [[Size(int(side), int(side)) for side in step] for step in sides]


def balance(steps, count):
    """Divide the pixels by those of the process with most in each step, for which all wait."""
    loads = [
        [sum(area(sizes[place]) for place in part) for part in deal(sizes, count)]
        for sizes in steps
    ]
    return sum(map(sum, loads)) / (count * sum(map(max, loads)))


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.0])
def test_four_processes_wait_little_where_regions_are_lognormal(sigma):
    assert balance(steps_of(sigma), 4) >= 0.95


def test_where_sizes_differ_more_they_wait_for_single_regions_that_nobody_can_share():
    steps = steps_of(1.5)
    assert balance(steps, 4) < 0.85
    # a region is never parted: a step takes as long as its largest region at least
    waits = [max(*map(area, sizes), sum(map(area, sizes)) / 4) for sizes in steps]
    best = sum(area(size) for sizes in steps for size in sizes) / (4 * sum(waits))
    assert balance(steps, 4) >= 0.99 * best
