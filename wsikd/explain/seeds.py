"""Are ways of training different? CKA within and between them, over several seeds.

Two networks of one group differ by their seed; two of different groups by the group as well. The
groups have different representations as far as CKA between them is below CKA within them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsikd.evaluation.metrics import Floats
from wsikd.explain.cka import Similarity

FEWEST_SEEDS = 3  # of two, a draw with replacement has one pair or none

Mask = NDArray[np.bool_]


class Member(NamedTuple):
    """A run, the group it belongs to, and the seed of its first weights."""

    name: str
    group: str
    seed: int


class Comparison(NamedTuple):
    """Mean CKA over pairs of runs, one of each of two groups, or two of one.

    Attributes
    ----------
    first, second : str
        The groups; the same within one.
    first_layers, second_layers : tuple of str
        Names of their L and M layers.
    pairs : int
        How many pairs of runs were averaged.
    same_seed : bool
        Whether runs with the same first weights are among them; only if there are no others.
    value : ndarray of float, shape (L, M)
        Layers of the first group by layers of the second.
    low, high : ndarray of float, shape (L, M), or None
        95 % interval over seeds; None with fewer than three runs in a group.
    chance_low, chance_high : ndarray of float, shape (L, M)
        Where 95 % of the values lie when the images of one side are shuffled.
    """

    first: str
    second: str
    first_layers: tuple[str, ...]
    second_layers: tuple[str, ...]
    pairs: int
    same_seed: bool
    value: Floats
    low: Floats | None
    high: Floats | None
    chance_low: Floats
    chance_high: Floats

    @property
    def of_same_layers(self) -> bool:
        """Whether the diagonal compares layers with the same layers."""
        return self.first_layers == self.second_layers


class Separation(NamedTuple):
    """How far CKA between two groups is below the mean of CKA within them, layer by layer.

    Attributes
    ----------
    first, second : str
        The groups.
    layers : tuple of str
        Names of the L layers.
    value : ndarray of float, shape (L,)
        Within less between, of the same layer on both sides; 0 if the group changes nothing.
    low, high : ndarray of float, shape (L,), or None
        95 % interval over seeds.
    """

    first: str
    second: str
    layers: tuple[str, ...]
    value: Floats
    low: Floats | None
    high: Floats | None


def compare_groups(
    similarity: Similarity, members: Sequence[Member], *, draws: int = 2000, seed: int = 0
) -> tuple[list[Comparison], list[Separation]]:
    """Average CKA over the pairs of runs within and between groups.

    Runs of one seed start from the same weights, so that they are alike for a reason that is not
    the group; such pairs are left out where there are others. What is resampled for the intervals
    are the runs of each group, with replacement, as many as there are; a draw's value is the mean
    over its pairs of different runs, and the images stay. With few seeds such intervals are rather
    too narrow: three seeds can hardly show more than that something is large or not.

    Parameters
    ----------
    similarity : Similarity
        Of the R runs.
    members : sequence of Member
        The same runs, in the same order. Those of one group have the same layers.
    draws : int
        Bootstrap draws.
    seed : int
        Of the bootstrap.

    Returns
    -------
    comparisons : list of Comparison
        Within every group of at least two runs, then between every two groups.
    separations : list of Separation
        Of every two groups that both have two runs, and the same layers.
    """
    groups = _Groups(similarity, members, draws, seed)
    names = list(dict.fromkeys(member.group for member in members))
    couples = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    within = {name: groups.compare(name, name) for name in names if groups.size(name) > 1}
    between = {couple: groups.compare(*couple) for couple in couples}
    separations = [
        _separate(between[a, b], within[a], within[b])
        for a, b in couples
        if a in within and b in within and between[a, b][0].of_same_layers
    ]
    found = (*within.values(), *between.values())
    return [comparison for comparison, _ in found], separations


def layer_names(comparisons: Sequence[Comparison]) -> list[str]:
    """Return the names of all layers that were compared, each once, in their order."""
    both = (one.first_layers + one.second_layers for one in comparisons)
    return list(dict.fromkeys(name for names in both for name in names))


class _Groups:
    """The runs by group, and how often each was drawn in every bootstrap draw."""

    def __init__(
        self, similarity: Similarity, members: Sequence[Member], draws: int, seed: int
    ) -> None:
        self._similarity = similarity
        self._groups = np.array([member.group for member in members])
        self._seeds = np.array([member.seed for member in members])
        random = np.random.default_rng(seed)
        self._drawn = {
            name: _times_drawn(self.size(name), draws, random)
            for name in dict.fromkeys(self._groups)
        }

    def size(self, group: str) -> int:
        return int((self._groups == group).sum())

    def compare(self, first: str, second: str) -> tuple[Comparison, Floats | None]:
        """Return the comparison, and the value of every draw, shape (draws, L, M)."""
        rows, columns = (np.flatnonzero(self._groups == name) for name in (first, second))
        mask, same_seed = self._pairs(rows, columns)
        observed, shuffled = self._similarity.between(rows, columns)
        drawn = None
        if min(len(rows), len(columns)) >= FEWEST_SEEDS:
            weights = self._drawn[first][:, :, None] * self._drawn[second][:, None, :] * mask
            drawn = _weighted_means(observed, weights)
        low, high = (None, None) if drawn is None else _interval(drawn)
        value = observed[mask].mean(0)
        chance = _interval(shuffled[:, mask].mean(1))
        pairs = int(mask.sum()) // (2 if first == second else 1)
        ours, theirs = (self._similarity.layers[runs[0]] for runs in (rows, columns))
        about = Comparison(first, second, ours, theirs, pairs, same_seed, value, low, high, *chance)
        return about, drawn

    def _pairs(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Mask, bool]:
        different: Mask = rows[:, None] != columns
        other_seed: Mask = different & (self._seeds[rows][:, None] != self._seeds[columns])
        return (other_seed, False) if other_seed.any() else (different, True)


def _separate(
    between: tuple[Comparison, Floats | None],
    first: tuple[Comparison, Floats | None],
    second: tuple[Comparison, Floats | None],
) -> Separation:
    about = between[0]
    value = (first[0].value + second[0].value) / 2 - about.value
    low = high = None
    if between[1] is not None and first[1] is not None and second[1] is not None:
        low, high = map(np.diagonal, _interval((first[1] + second[1]) / 2 - between[1]))
    names = (about.first, about.second, about.first_layers)
    return Separation(*names, np.diagonal(value), low, high)


def _times_drawn(count: int, draws: int, random: np.random.Generator) -> Floats:
    drawn = random.multinomial(count, np.full(count, 1 / count), size=draws)
    return np.asarray(drawn, np.float64)


def _weighted_means(values: Floats, weights: Floats) -> Floats:
    """Average over pairs; a draw that holds no pair of different runs is left out as NaN."""
    totals = weights.sum((1, 2))
    totals[totals == 0] = np.nan
    means: Floats = np.einsum("dij,ijab->dab", weights, values) / totals[:, None, None]
    return means


def _interval(values: Floats) -> tuple[Floats, Floats]:
    low, high = np.nanpercentile(values, [2.5, 97.5], axis=0)
    return low, high
