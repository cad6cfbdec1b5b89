from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wsikd.cohort.stratify import deal_folds, deal_splits

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
class_sizes = st.dictionaries(st.sampled_from("abcde"), st.integers(3, 40), min_size=1)
seeds = st.integers(0, 99)


def patients(**sizes: int) -> dict[str, list[str]]:
    return {f"{label}{k}": [label] for label, size in sizes.items() for k in range(size)}


@given(sizes=class_sizes, seed=seeds)
def test_gives_every_class_its_shares_but_for_what_does_not_divide(sizes, seed):
    dealt = deal_splits(patients(**sizes), SHARES, seed)
    for label, size in sizes.items():
        counts = Counter(split for patient, split in dealt.items() if patient[0] == label)
        for split, share in SHARES.items():
            # a class too small for its shares fills val and test, one each, out of train
            slack = 2 if split == "train" else 1
            assert abs(counts[split] - share * size) < slack
            assert counts[split] >= 1


def test_evens_out_over_classes_what_does_not_divide():
    # of 10 patients val and test are due 1.5 each: 2 and 1 in one class, 1 and 2 in the other
    dealt = deal_splits(patients(a=10, b=10), SHARES, seed=0)
    assert Counter(dealt.values()) == {"train": 14, "val": 3, "test": 3}


def test_counts_a_patient_with_two_labels_for_the_rarer():
    labels = patients(common=30) | {f"both{k}": ["common", "rare"] for k in range(3)}
    dealt = deal_splits(labels, SHARES, seed=0)
    assert {dealt[f"both{k}"] for k in range(3)} == set(SHARES)


def test_gives_nobody_to_a_share_of_0():
    dealt = deal_splits(patients(a=10), {"train": 0.8, "val": 0.0, "test": 0.2}, seed=0)
    assert Counter(dealt.values()) == {"train": 8, "test": 2}


@given(sizes=class_sizes, folds=st.integers(3, 6), seed=seeds)
def test_makes_folds_that_differ_by_one_patient_at_most_in_all_and_in_each_class(
    sizes, folds, seed
):
    dealt = deal_folds(patients(**sizes), folds, seed)
    for label in ("", *sizes):
        counts = Counter(fold for patient, fold in dealt.items() if patient.startswith(label))
        held = [counts[fold] for fold in range(folds)]
        assert max(held) - min(held) <= 1


@given(order=st.permutations(sorted(patients(a=7, b=9))), seed=seeds)
def test_does_not_depend_on_the_order_of_patients(order, seed):
    labels = patients(a=7, b=9)
    mixed = {patient: labels[patient] for patient in order}
    assert deal_splits(mixed, SHARES, seed) == deal_splits(labels, SHARES, seed)
    assert deal_folds(mixed, 3, seed) == deal_folds(labels, 3, seed)


def test_shuffles_with_the_seed():
    labels = patients(a=40)
    assert deal_splits(labels, SHARES, seed=0) != deal_splits(labels, SHARES, seed=1)
    assert deal_folds(labels, 3, seed=0) != deal_folds(labels, 3, seed=1)
