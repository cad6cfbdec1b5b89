import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsikd.evaluation.bootstrap import interval, resample_patients, times_drawn
from wsikd.evaluation.metrics import METRICS, score
from wsikd.evaluation.strata import find_strata, labels_of

CLASSES = 3
cohorts = arrays(
    np.int64,
    st.tuples(st.integers(2, 30), st.just(CLASSES), st.just(CLASSES)),
    elements=st.sampled_from([0, 0, 0, 1, 2]),
).map(lambda matrices: matrices[matrices.sum((1, 2)) > 0])
one_label_each = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=30)


def single(pairs):
    """Confusion matrices of patients with one unit each: its true and its predicted class."""
    matrices = np.zeros((len(pairs), CLASSES, CLASSES), np.int64)
    for patient, (truth, prediction) in enumerate(pairs):
        matrices[patient, truth, prediction] = 1
    return matrices


def drawn_from(matrices, draws=60, seed=0):
    strata = find_strata(labels_of(matrices))
    return resample_patients(matrices, draws=draws, seed=seed, strata=strata)


@given(cohorts.filter(lambda matrices: len(matrices) > 0))
def test_every_class_of_the_test_set_is_in_every_draw(matrices):
    observed = matrices.sum((0, 2)) > 0
    assert ((drawn_from(matrices).sum(2) > 0) == observed).all()


@given(one_label_each)
def test_with_one_label_each_every_draw_has_as_many_patients_of_each_class(pairs):
    drawn = drawn_from(single(pairs))
    expected = np.bincount([truth for truth, _ in pairs], minlength=CLASSES)
    assert (drawn.sum(2) == expected).all()


@given(cohorts.filter(lambda matrices: len(matrices) > 0))
def test_every_draw_has_as_many_patients_of_each_stratum(matrices):
    strata = find_strata(labels_of(matrices))
    times = times_drawn(strata, draws=40, seed=1)
    for stratum in np.unique(strata):
        here = strata == stratum
        assert (times[:, here].sum(1) == here.sum()).all()


@given(one_label_each)
def test_no_interval_holds_what_no_draw_with_every_class_can_have(pairs):
    # a class of which no unit is read rightly, or all are, is so in every draw; hence the bounds
    matrices = single(pairs)
    confusion = matrices.sum(0)
    present = confusion.sum(1) > 0
    never = (np.diag(confusion) == 0) & present
    always = (np.diag(confusion) == confusion.sum(1)) & present
    low, high = interval(score(drawn_from(matrices))["recall"])
    assert high <= 1 - never.sum() / present.sum() + 1e-9
    assert low >= always.sum() / present.sum() - 1e-9
    assert interval(score(drawn_from(matrices))["f1"])[1] <= 1 - never.sum() / present.sum() + 1e-9


@given(one_label_each, st.randoms(use_true_random=False))
def test_how_patients_of_different_strata_are_mixed_changes_nothing(pairs, random):
    # patients of one stratum keep their order; the strata are dealt anew
    dealt = [truth for truth, _ in pairs]
    random.shuffle(dealt)
    rest = {truth: iter([pair for pair in pairs if pair[0] == truth]) for truth in set(dealt)}
    mixed = [next(rest[truth]) for truth in dealt]
    first, second = (score(drawn_from(single(one))) for one in (pairs, mixed))
    for name in METRICS:
        assert (first[name] == second[name]).all()


def test_a_set_of_labels_that_few_have_joins_the_most_similar_one():
    sets = [[1, 0, 0]] * 8 + [[1, 1, 0]] * 6 + [[0, 1, 1]] * 2 + [[0, 0, 1]] * 7
    strata = find_strata(np.array(sets, bool))
    # {b, c} shares as much with {a, b} (1 of 3) and more with {c} (1 of 2)
    assert len(set(strata[:8])) == len(set(strata[8:14])) == len(set(strata[14:])) == 1
    assert len(set(strata)) == 3


def test_no_set_is_joined_where_a_class_would_be_missing_from_draws():
    # c is in the two patients of {b, c} alone
    sets = [[1, 0, 0]] * 8 + [[1, 1, 0]] * 6 + [[0, 1, 1]] * 2
    strata = find_strata(np.array(sets, bool))
    assert sorted(np.bincount(strata)) == [2, 6, 8]


def test_patients_of_many_labels_are_drawn_though_hardly_two_have_the_same():
    labels = np.random.default_rng(0).random((40, 9)) < 0.5
    assert len(np.unique(labels, axis=0)) > 35
    strata = find_strata(labels)
    assert np.bincount(strata).min() > 1
    everywhere = [labels[strata == stratum].all(0) for stratum in np.unique(strata)]
    assert np.any(everywhere, axis=0).all()


def test_twenty_patients_of_whom_one_has_a_class_that_is_always_missed():
    # 9 a and 10 b, all right, and one c that is taken for an a
    matrices = single([(0, 0)] * 9 + [(1, 1)] * 10 + [(2, 0)])
    by_hand = (18 / 19 + 1 + 0) / 3  # F1 of a: 2 * 9 / (2 * 9 + 1)
    assert score(matrices.sum(0))["f1"] == pytest.approx(by_hand)
    drawn = score(drawn_from(matrices, draws=2000))["f1"]
    assert drawn == pytest.approx(by_hand)  # before, 1.0 in the third of draws that had no c
