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
