import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score

from wsikd.errors import ConfigError
from wsikd.evaluation import EvaluateSettings, detail_table, evaluate_runs, metrics_table
from wsikd.evaluation.metrics import confusion_matrix
from wsikd.evaluation.ordered import check_order, score_order

decisions = arrays(np.int64, st.tuples(st.integers(2, 30), st.just(2)), elements=st.integers(0, 3))
varied = decisions.filter(lambda pairs: len(np.unique(pairs)) > 1)


@given(varied, st.permutations(range(4)))
def test_kappa_is_scikit_learns_whatever_the_order_of_the_columns(pairs, places):
    truth, prediction = pairs.T
    found = score_order(confusion_matrix(truth, prediction, 4), places)["quadratic_kappa"]
    in_order = np.array(places)
    expected = cohen_kappa_score(
        in_order[truth], in_order[prediction], labels=range(4), weights="quadratic"
    )
    assert found == pytest.approx(expected)


def test_kappa_and_distance_are_those_worked_out_by_hand():
    # low, middle, high: 2 right of each; one low called high, one high called middle
    confusion = [[2, 0, 1], [0, 2, 0], [0, 1, 2]]
    found = score_order(confusion, [0, 1, 2])
    assert found["distance"] == (2 + 1) / 8
    # squared distances observed: 4 + 1; by chance, from 3, 2, 3 true and 2, 3, 3 predicted
    by_chance = (1 * (3 * 3 + 2 * 2 + 2 * 3 + 3 * 3) + 4 * (3 * 3 + 3 * 2)) / 8
    assert found["quadratic_kappa"] == pytest.approx(1 - 5 / by_chance)


def test_kappa_of_one_class_alone_is_undefined():
    assert np.isnan(score_order([[5, 0], [0, 0]], [0, 1])["quadratic_kappa"])


@pytest.mark.parametrize(
    ("ordered", "message"),
    [
        (("a", "x"), "--ordered: 'x' is no class of t; name each of a, b once, from first to last"),
        (("a",), "--ordered: lacks 'b', a class of t; name each of a, b once, from first to last"),
        (("a", "b", "a"), "--ordered: 'a' is named 2 times; name each of a, b once, from first to"),
    ],
)
def test_an_order_that_is_not_that_of_the_classes_is_refused(ordered, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        check_order("t", ("a", "b"), ordered)


def test_the_order_adds_kappa_and_distance_to_the_numbers_and_tables(tmp_path, write_run, manifest):
    write_run("teacher", 10.0)
    write_run("student", 1.25, wrong=["s00", "s01", "s02"])
    settings = EvaluateSettings(draws=100, ordered=("red", "blue"))
    metrics = evaluate_runs(tmp_path / "runs", manifest, settings)
    student = metrics.runs[1].units["slide"].metrics
    assert student["distance"].value == 3 / 12
    # 2 blue called red, 1 red called blue: chance is (6 * 7 + 6 * 5) / 12
    assert student["quadratic_kappa"].value == pytest.approx(1 - 3 / ((6 * 7 + 6 * 5) / 12))
    shown = detail_table(metrics).set_index("run")
    assert shown.loc["student-1.25x", "distance"].startswith("0.25 (")
    assert shown.loc["teacher-10x", "quadratic kappa"] == "1.00 (1.00 to 1.00)"
    assert {"quadratic_kappa_low", "distance_high"} <= set(metrics_table(metrics).columns)


def test_an_order_of_other_classes_stops_the_evaluation(tmp_path, write_run, manifest):
    write_run("teacher", 10.0)
    settings = EvaluateSettings(draws=100, ordered=("red", "green"))
    with pytest.raises(ConfigError, match="'green' is no class of teacher-10x"):
        evaluate_runs(tmp_path / "runs", manifest, settings)
