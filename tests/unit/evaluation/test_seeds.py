import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from wsikd.evaluation import Estimate
from wsikd.evaluation.notes import NO_WIDTH
from wsikd.evaluation.seed_tables import seeds_differences, seeds_summary, seeds_table
from wsikd.evaluation.seeds import (
    About,
    SeedGroup,
    SeedSettings,
    compare_all,
    compare_seeds,
    score_seeds,
    seedless_name,
)

CLASSES = ("blue", "green", "red")
SETTINGS = SeedSettings(draws=400, bootstrap_seed=5)
SEEN = {"patches": "10x-96px", "view": "10x-96px", "magnification": 10.0, "percent": 100.0}
ABOUT = SEEN | {"control": False}


def predictions(seed, *, patients=6, patches=5, slides=1):
    """Patches of all classes in turn, predicted rightly in about two of three cases."""
    random = np.random.default_rng(seed)
    labels = np.arange(patients * patches) % 3  # every patient has every class: one stratum
    said = np.where(random.random(len(labels)) < 0.6, labels, random.integers(0, 3, len(labels)))
    table = pd.DataFrame(np.eye(3)[said], columns=["p_0", "p_1", "p_2"])
    place = np.arange(len(labels))
    return table.assign(
        label=np.array(CLASSES)[labels],
        patient_id=[f"p{k // patches}" for k in place],
        slide_id=[f"s{k // patches}-{k % slides}" for k in place],
        region_id=[f"x{k}" for k in place],
    )


def make_group(name, *seeds, about=None, **options):
    tables = {f"{name}-seed{seed}": predictions(seed, **options) for seed in seeds}
    return SeedGroup(About(name=name, **(ABOUT | (about or {}))), CLASSES, tables)


def right(table):
    truth = table["label"].map(CLASSES.index)
    return truth, table[["p_0", "p_1", "p_2"]].to_numpy().argmax(1)


def redrawn(draws, seed, patients=6):
    """How often each patient is drawn, draw by draw."""
    random = np.random.default_rng(seed)
    return [random.multinomial(patients, np.full(patients, 1 / patients)) for _ in range(draws)]


def test_folds_and_seeds_are_not_part_of_an_groups_name():
    assert seedless_name("probe-pair-x-seed12-knn-5pct-fold0") == "probe-pair-x-knn-5pct"
    assert seedless_name("probe-seed-folder") == "probe-seed-folder"


def test_the_value_is_the_mean_over_seeds_beside_their_range():
    group = make_group("a", 1, 2, 3)
    region = score_seeds(group, SETTINGS).units["region"]
    by_seed = [np.mean(np.equal(*right(table))) for table in group.predictions.values()]
    found = region.metrics["plain_accuracy"]
    assert found.value == pytest.approx(np.mean(by_seed))
    assert (found.lowest, found.highest) == (min(by_seed), max(by_seed))
    assert (region.count, region.patients) == (30, 6)
    decided = [right(table) for table in group.predictions.values()]
    f1 = np.mean([f1_score(*one, average="macro") for one in decided])
    balanced = np.mean([balanced_accuracy_score(*one) for one in decided])
    assert region.metrics["f1"].value == pytest.approx(f1)
    assert region.metrics["recall"].value == pytest.approx(balanced)


def test_the_interval_is_that_of_a_loop_which_draws_patients_for_all_seeds_at_once():
    group = make_group("a", 1, 2)
    found = score_seeds(group, SETTINGS).units["region"].metrics["plain_accuracy"]
    means = []
    for times in redrawn(400, seed=5):
        shares = []
        for table in group.predictions.values():
            weights = times[table["patient_id"].str[1:].astype(int)]
            shares.append(np.average(np.equal(*right(table)), weights=weights))
        means.append(np.mean(shares))
    low, high = np.percentile(means, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_difference_is_paired_and_of_the_means_over_seeds():
    first, second = make_group("a", 1, 2, 3), make_group("b", 4, 5)
    region = next(iter(compare_seeds(first, second, SETTINGS)))
    differences = []
    for times in [np.ones(6), *redrawn(400, seed=5)]:
        means = [
            np.mean(
                [
                    np.average(
                        np.equal(*right(table)),
                        weights=times[table["patient_id"].str[1:].astype(int)],
                    )
                    for table in group.predictions.values()
                ]
            )
            for group in (first, second)
        ]
        differences.append(means[0] - means[1])
    found = region.metrics["plain_accuracy"]
    low, high = np.percentile(differences[1:], [2.5, 97.5])
    assert found.value == pytest.approx(differences[0])
    assert (found.low, found.high) == pytest.approx((low, high))


def test_groups_are_compared_on_what_all_their_runs_predicted():
    first, second = make_group("a", 1), make_group("b", 1)
    second.predictions["b-seed1"] = second.predictions["b-seed1"][20:]
    region = next(iter(compare_seeds(first, second, SETTINGS)))
    assert (region.count, region.patients) == (10, 2)
    right = region.metrics["plain_accuracy"]
    assert right == Estimate(value=0.0, low=0.0, high=0.0, note=NO_WIDTH)
    assert region.metrics["f1"] == Estimate(value=0.0, low=None, high=None, note=region.reason)


def test_groups_with_nothing_in_common_have_no_difference_but_a_reason():
    first, second = make_group("a", 1), make_group("b", 1)
    second.predictions["b-seed1"]["region_id"] += "'"
    region = next(iter(compare_seeds(first, second, SETTINGS)))
    assert region.reason == "the two groups predict for nothing in common"
    assert region.metrics["f1"] == Estimate(value=None, low=None, high=None)


def test_slides_of_several_labels_are_left_out():
    group = make_group("a", 1, patches=2, slides=2)
    assert score_seeds(group, SETTINGS).units["slide"].count == 12
    mixed = make_group("a", 1, patients=2, patches=15)
    assert list(score_seeds(mixed, SETTINGS).units) == ["region"]


def test_one_patient_has_no_interval():
    region = score_seeds(make_group("a", 1, patients=1), SETTINGS).units["region"]
    assert region.metrics["f1"].low is None
    assert region.reason == "an interval needs at least 2 patients, got 1"


def test_tables_have_a_row_for_each_group_and_each_difference():
    first, second = make_group("a", 1, 2), make_group("b", 3)
    scored = [score_seeds(group, SETTINGS) for group in (first, second)]
    differences = list(compare_seeds(first, second, SETTINGS))
    flat = seeds_table(scored)
    assert flat[["name", "unit", "runs"]].to_numpy().tolist()[0] == ["a", "region", 2]
    assert {"f1", "f1_low", "f1_lowest", "plain_accuracy_highest"} <= set(flat.columns)
    shown = seeds_summary(scored)
    assert shown["arm"].tolist() == ["a", "b"]
    assert " to " in shown["range over runs"][0]
    assert shown["range over runs"][1] == ""
    assert seeds_differences(differences)["minus"].tolist() == ["b"]


def test_groups_are_held_against_later_ones_and_against_controls_that_learn():
    control = {"control": True}
    groups = [
        make_group("a", 1),
        make_group("b", 2),
        make_group("a-5pct", 1, about={"percent": 5.0}),
        make_group("c", 3, about={"patches": "other", "view": "other"}),
        make_group("d", 3, about={"view": "modality-10x-96px"}),
        make_group("probe-control-colour", 4, about=control),
        make_group("probe-control-majority", 5, about=control),
    ]
    compared = [(one.arm, one.reference) for one in compare_all(groups, SETTINGS)]
    colour = "probe-control-colour"
    assert compared == [("a", "b"), ("a", "d"), ("a", colour), ("b", "d"), ("b", colour)]
