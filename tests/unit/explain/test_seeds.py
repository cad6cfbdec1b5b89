import itertools

import numpy as np
import pytest

from wsikd.explain.cka import Similarity
from wsikd.explain.seeds import Member, compare_groups


def members(**seeds):
    return [
        Member(f"{group}-seed{seed}", group, seed)
        for group, every in seeds.items()
        for seed in every
    ]


def similarity(every, value_of, *, spread=0.0, layers=2):
    """Make up CKA: value_of gives it for two runs, the layers differ by tenths."""
    runs = len(every)
    observed = np.ones((runs, runs, layers, layers))
    offset = 0.1 * np.arange(layers)
    for i, j in itertools.product(range(runs), repeat=2):
        if i != j:
            observed[i, j] = value_of(every[i], every[j]) - offset[:, None] - offset[None, :]
    table = observed.swapaxes(1, 2).reshape(runs * layers, runs * layers)
    shuffled = spread * np.linspace(-1, 1, 201)[:, None, None]
    names = tuple(f"layer{number}" for number in range(layers))
    return Similarity((names,) * runs, table, shuffled + np.zeros((201, *table.shape)), 64)


def alike(within, between):
    return lambda one, other: within if one.group == other.group else between


class TestTheMeans:
    def test_are_over_the_pairs_of_different_runs(self):
        every = members(a=(0, 1, 2))
        table = {(0, 1): 0.5, (0, 2): 0.7, (1, 2): 0.9}
        (found,), separations = compare_groups(
            similarity(every, lambda one, other: table[tuple(sorted((one.seed, other.seed)))]),
            every,
        )
        assert (found.first, found.second, found.pairs) == ("a", "a", 3)
        np.testing.assert_allclose(found.value, [[0.7, 0.6], [0.6, 0.5]])
        assert separations == []

    def test_come_within_each_group_and_between_every_two(self):
        every = members(a=(0, 1), b=(0, 1), c=(5,))
        found, separations = compare_groups(similarity(every, alike(0.8, 0.5)), every)
        names = [(one.first, one.second, one.pairs) for one in found]
        # pairs of one seed are left out between a and b
        assert names == [("a", "a", 1), ("b", "b", 1), ("a", "b", 2), ("a", "c", 2), ("b", "c", 2)]
        assert [(one.first, one.second) for one in separations] == [("a", "b")]

    def test_leave_out_runs_that_began_from_the_same_weights(self):
        every = members(a=(0, 1), b=(0, 1))
        value_of = lambda one, other: 0.9 if one.seed == other.seed else 0.4  # noqa: E731
        found, _ = compare_groups(similarity(every, value_of), every)
        assert found[-1].value[0, 0] == pytest.approx(0.4)
        assert not found[-1].same_seed

    def test_take_runs_of_the_same_weights_where_there_are_no_others(self):
        every = members(a=(0,), b=(0,))
        (found,), _ = compare_groups(similarity(every, alike(1.0, 0.4)), every)
        assert found.same_seed
        assert found.value[0, 0] == pytest.approx(0.4)
        assert found.low is None

    def test_keep_the_layers_of_the_first_group_in_the_rows(self):
        every = members(a=(0,), b=(1,))
        made = similarity(every, alike(1.0, 0.5))
        made.observed[:2, 2:] = [[1, 2], [3, 4]]
        (found,), _ = compare_groups(made, every)
        assert found.value.tolist() == [[1, 2], [3, 4]]


class TestGroupsOfOtherLayers:
    def test_are_compared_layer_by_layer_but_never_as_the_same_layers(self):
        every = members(a=(0, 1), b=(2, 3))
        table = np.arange(100.0).reshape(10, 10) / 100  # of 2 x 3 layers, and 2 x 2 layers
        layers = (("x", "y", "z"),) * 2 + (("x", "y"),) * 2
        within_a, within_b, between = compare_groups(
            Similarity(layers, table, table[None], 64), every
        )[0]
        assert [one.value.shape for one in (within_a, within_b, between)] == [
            (3, 3),
            (2, 2),
            (3, 2),
        ]
        # rows z of both runs of a, 2 and 5, by columns y of both runs of b, 7 and 9
        assert between.value[2, 1] == pytest.approx((0.27 + 0.29 + 0.57 + 0.59) / 4)
        assert [one.of_same_layers for one in (within_a, within_b, between)] == [True, True, False]

    def test_are_not_said_to_be_apart(self):
        every = members(a=(0, 1), b=(2, 3))
        table, layers = np.ones((8, 8)), (("x", "y"),) * 2 + (("y", "x"),) * 2
        _, separations = compare_groups(Similarity(layers, table, table[None], 64), every)
        assert separations == []


class TestTheIntervals:
    def test_have_no_width_when_all_seeds_agree(self):
        every = members(a=(0, 1, 2), b=(3, 4, 5))
        found, (separation,) = compare_groups(similarity(every, alike(0.8, 0.5)), every)
        for one in found:
            np.testing.assert_allclose([one.low, one.high], [one.value] * 2)
        np.testing.assert_allclose(separation.value, [0.3, 0.3])
        np.testing.assert_allclose([separation.low, separation.high], [[0.3, 0.3]] * 2)

    def test_are_those_of_all_draws_of_three_runs_written_out(self):
        every = members(a=(0, 1, 2))
        table = {(0, 1): 0.2, (0, 2): 0.5, (1, 2): 0.8}
        value_of = lambda one, other: table[tuple(sorted((one.seed, other.seed)))]  # noqa: E731
        (found,), _ = compare_groups(similarity(every, value_of), every, draws=50_000)
        means = []
        for drawn in itertools.product(range(3), repeat=3):
            pairs = [tuple(sorted(pair)) for pair in itertools.combinations(drawn, 2)]
            values = [table[pair] for pair in pairs if pair[0] != pair[1]]
            means += [np.mean(values)] if values else []
        low, high = np.percentile(means, [2.5, 97.5])
        assert found.low[0, 0] == pytest.approx(low)
        assert found.high[0, 0] == pytest.approx(high)

    def test_are_not_given_for_two_runs(self):
        every = members(a=(0, 1), b=(2, 3, 4))
        found, (separation,) = compare_groups(similarity(every, alike(0.8, 0.5)), every)
        assert [one.low is None for one in found] == [True, False, True]
        assert separation.low is None
        np.testing.assert_allclose(separation.value, [0.3, 0.3])

    def test_of_chance_hold_95_of_100_shuffles(self):
        every = members(a=(0, 1))
        (found,), _ = compare_groups(similarity(every, alike(0.8, 0.5), spread=0.2), every)
        np.testing.assert_allclose(found.chance_low, -0.19)
        np.testing.assert_allclose(found.chance_high, 0.19)

    def test_do_not_depend_on_what_is_drawn_elsewhere(self):
        every = members(a=(0, 1, 2), b=(3, 4, 5))
        made = similarity(every, lambda one, other: 0.1 * abs(one.seed - other.seed))
        first, again = (compare_groups(made, every, seed=4)[0] for _ in range(2))
        np.testing.assert_array_equal(first[2].low, again[2].low)
