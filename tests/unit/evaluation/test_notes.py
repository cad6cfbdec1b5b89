import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from wsikd.cli import main
from wsikd.evaluation import (
    EvaluateSettings,
    Footnotes,
    detail_table,
    evaluate_runs,
    summary_table,
)
from wsikd.evaluation.documents import Estimate
from wsikd.evaluation.estimates import estimates
from wsikd.evaluation.notes import NO_WIDTH, Limits, find_limits
from wsikd.evaluation.scores import Scoring, TestedUnits, score_units

SETTINGS = EvaluateSettings(draws=300)


def labels(*counts):
    """Patients of one class each, so many of each class."""
    return np.repeat(np.eye(len(counts), dtype=bool), counts, axis=0)


def evaluated(tmp_path, manifest, settings=SETTINGS):
    metrics = evaluate_runs(tmp_path / "runs", manifest, settings)
    return metrics, metrics.runs[0].units["slide"]


@pytest.fixture
def few_red(manifest, write_run):
    """Six patients of class blue and four of class red, one of each read wrongly."""
    write_run("teacher", 10.0, wrong=["s00", "s01"], without=["s09", "s11"])


def test_limits_name_the_classes_that_few_patients_have():
    limits = find_limits(labels(9, 10, 1, 3, 0), "abcde")
    assert limits == Limits(patients=23, rare={"c": 1, "d": 3}, hardly_drawn=4, absent=("e",))
    assert limits.reason == (
        "an interval needs at least 5 patients of each class, and 'c' has 1, 'd' has 3"
    )
    assert limits.forbids("f1")
    assert not limits.forbids("plain_accuracy")


def test_five_patients_are_enough():
    assert find_limits(labels(5, 5), "ab") == Limits(patients=10)


@pytest.mark.parametrize(
    ("limits", "ends", "note"),
    [
        (Limits(10), (0.5, 0.9), None),
        (Limits(10), (0.9, 0.9), NO_WIDTH),
        (Limits(3), (0.5, 0.9), "3 patients are too few to trust an interval"),
        (
            Limits(20, hardly_drawn=1),
            (0.5, 0.9),
            (
                "the interval may be too narrow: of 20 patients, 1 has labels that fewer than 5 "
                "have, and drawn test sets hardly vary this one"
            ),
        ),
        (
            Limits(20, hardly_drawn=2),
            (0.5, 0.9),
            (
                "the interval may be too narrow: of 20 patients, 2 have labels that fewer than 5 "
                "have, and drawn test sets hardly vary these"
            ),
        ),
    ],
)
def test_what_stands_beside_an_interval(limits, ends, note):
    found = limits.beside(*ends)
    assert found == note if note is None else found.startswith(note)


def test_means_over_a_class_of_few_patients_have_no_interval(tmp_path, few_red, manifest):
    _, slides = evaluated(tmp_path, manifest)
    reason = "an interval needs at least 5 patients of each class, and 'red' has 4"
    assert slides.reason == reason
    truth, read = [0] * 6 + [1] * 4, [1] + [0] * 5 + [0] + [1] * 3
    f1 = f1_score(truth, read, average="macro")
    assert slides.metrics["f1"] == Estimate(value=f1, low=None, high=None, note=reason)
    for name in ("accuracy", "precision", "recall", "auroc", "accuracy_as_released"):
        assert slides.metrics[name].interval is None
        assert slides.metrics[name].note == reason
    right = slides.metrics["plain_accuracy"]
    assert right.interval is not None
    assert "of 10 patients, 4 have labels that fewer than 5 have" in right.note


def test_each_class_has_its_scores_and_its_interval_where_patients_suffice(
    tmp_path, few_red, manifest
):
    _, slides = evaluated(tmp_path, manifest)
    blue, red = slides.per_class
    assert (blue.name, blue.count, blue.patients) == ("blue", 6, 6)
    assert (red.name, red.count, red.patients) == ("red", 4, 4)
    assert blue.metrics["recall"].value == pytest.approx(5 / 6)
    assert red.metrics["precision"].value == pytest.approx(3 / 4)
    assert blue.metrics["recall"].interval is not None
    assert red.metrics["recall"].interval is None
    assert "'red' has 4" in red.metrics["recall"].note
    sure = [0.1] + [0.9] * 5 + [1 - 0.1] + [1 - 0.9] * 3  # probability of blue, as in the run
    area = roc_auc_score([1] * 6 + [0] * 4, sure)
    assert blue.metrics["auroc"].value == pytest.approx(area)
    assert blue.metrics["auroc"].interval is None  # its rest is those four


def test_a_class_that_nothing_tested_is_of_has_no_scores_and_is_named(
    tmp_path, write_run, manifest
):
    write_run("teacher", 10.0, without=manifest["slide_id"][1::2])
    metrics, slides = evaluated(tmp_path, manifest)
    assert "no region of class 'red' is scored; no number covers it" in metrics.notes
    red = slides.per_class[1]
    assert (red.count, red.patients) == (0, 0)
    assert {one.value for one in red.metrics.values()} == {None}
    assert slides.metrics["auroc"].value is None
    assert slides.metrics["recall"].value == 1.0


UNCOVERED = "nothing tested is of class {}, which this mean does not cover"


@pytest.mark.parametrize("compat", [None, "release"])
def test_a_class_that_is_not_tested_is_marked_at_every_mean_over_classes(
    tmp_path, write_run, manifest, compat
):
    manifest.loc[11, ["label", "split"]] = ["green", "train"]
    write_run("teacher", 10.0, wrong=["s00"], without=manifest["slide_id"][1::2])
    settings = EvaluateSettings(draws=300, compat=compat)
    metrics, slides = evaluated(tmp_path, manifest, settings)
    told = UNCOVERED.format("'green', 'red'")
    for name in ("accuracy", "f1", "precision", "recall", "accuracy_as_released"):
        assert slides.metrics[name].note.endswith(told)
    for name in ("plain_accuracy", "ece"):
        assert told not in (slides.metrics[name].note or "")
    assert all(told not in (one.note or "") for one in slides.per_class[0].metrics.values())
    footnotes = Footnotes()
    assert "[" in summary_table(metrics, footnotes).iloc[0]["balanced %"]
    assert any(told in line for line in footnotes.lines)
    table = pd.read_csv(tmp_path / "runs" / "metrics.csv").set_index("unit")
    assert table.loc["slide", "f1_note"] == slides.metrics["f1"].note


def test_a_number_with_two_notes_has_both(tmp_path, write_run, manifest):
    manifest.loc[11, ["label", "split"]] = ["green", "train"]
    write_run("teacher", 10.0, without=["s11"])
    write_run("baseline", 10.0, without=["s11"], wrong=["s00"])
    metrics, _ = evaluated(tmp_path, manifest)
    told = UNCOVERED.format("'green'")
    right, wrong = (run.units["slide"].metrics for run in metrics.runs)
    assert right["auroc"].note == f"{NO_WIDTH}; {told}"
    assert right["plain_accuracy"].note == NO_WIDTH
    assert wrong["f1"].note == told
    difference = next(one for one in metrics.differences if one.unit == "slide")
    assert difference.metrics["f1"].note == told


def test_a_class_of_the_manifest_that_no_run_knows_is_named(tmp_path, write_run, manifest):
    manifest.loc[11, ["label", "split"]] = ["green", "train"]
    write_run("teacher", 10.0, without=["s11"])
    metrics, _ = evaluated(tmp_path, manifest)
    assert "no region of class 'green' is scored; no number covers it" in metrics.notes


def test_marks_stand_beside_the_numbers_and_notes_below_the_table(tmp_path, few_red, manifest):
    metrics, slides = evaluated(tmp_path, manifest)
    footnotes = Footnotes()
    row = summary_table(metrics, footnotes).iloc[0]
    assert row["right %"].endswith(") [1]")
    assert row["F1 %"].endswith(" [2]")
    assert row["balanced %"].endswith(" [2]")
    assert detail_table(metrics, footnotes).iloc[0]["AUROC %"].endswith(" [2]")
    assert footnotes.lines[1] == f"[2] {slides.reason}"


def test_everything_right_gives_an_interval_of_no_width_and_says_so(tmp_path, write_run, manifest):
    write_run("teacher", 10.0)
    _, slides = evaluated(tmp_path, manifest)
    for name in ("f1", "plain_accuracy", "auroc", "ece"):
        assert slides.metrics[name].note == NO_WIDTH
        assert slides.metrics[name].low == slides.metrics[name].high


@given(st.integers(0, 10_000))
def test_sums_in_another_order_make_no_width(seed):
    # 20 units, each 0.9, 0.7 or 0.6 sure and all right: no draw of the 20 changes what is added
    random = np.random.default_rng(seed)
    gaps = np.repeat([0.1, 0.3, 0.4], [7, 7, 6])
    drawn = np.array([sum(random.permutation(gaps)) for _ in range(200)]) / 20
    (found,) = estimates({"ece": drawn[0]}, {"ece": drawn}, Limits(20, hardly_drawn=6)).values()
    assert found.note == NO_WIDTH
    assert found.low == found.high == pytest.approx(5.2 / 20)


def test_a_mean_over_draws_beside_an_interval_of_no_width_is_not_said_to_be_the_value():
    drawn = np.array([2 / 3] * 98 + [0.6, 0.5])
    (found,) = estimates({"f1": drawn.mean()}, {"f1": drawn}, Limits(20)).values()
    assert found.value < found.low == found.high == pytest.approx(2 / 3)
    assert found.note.startswith("at least 95 % of the drawn test sets give the same value, ")


def test_as_released_intervals_are_those_of_the_published_code(tmp_path, few_red, manifest):
    settings = EvaluateSettings(draws=300, compat="release")
    _, slides = evaluated(tmp_path, manifest, settings)
    assert slides.reason is None
    assert slides.metrics["f1"].interval is not None
    assert slides.metrics["auroc"].interval is None


def test_a_class_of_one_patient_that_is_always_missed_leaves_macro_f1_without_interval():
    # 9 patients of a and 10 of b, all read rightly, and the one of c taken for a
    truth, read = np.repeat([0, 1, 2], [9, 10, 1]), np.repeat([0, 1, 0], [9, 10, 1])
    probabilities = pd.DataFrame(0.8 * np.eye(3)[read] + 0.1, columns=["p_0", "p_1", "p_2"])
    decisions = probabilities.assign(truth=truth, prediction=read, fold="")
    decisions.index = pd.Index([f"p{place:02d}" for place in range(20)], name="patient_id")
    tested = TestedUnits(decisions, ("a", "b", "c"), Scoring(draws=1000, seed=0))
    scores = score_units(tested, mixed_labels=0)
    f1 = scores.metrics["f1"]
    assert round(f1.value, 3) == 0.649
    assert f1.interval is None  # it was 0.60 to 1.00
    assert "'c' has 1" in f1.note
    assert tested.drawn.overall["f1"].max() < 0.65  # as no draw is without the class


def test_the_command_prints_the_notes_below_its_tables(tmp_path, few_red, manifest, capsys):
    manifest.drop(columns="fold").to_csv(tmp_path / "slides.csv", index=False)
    command = ["--workspace", str(tmp_path), "evaluate", "--draws", "200"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^teacher-10x +10 .*\) \[1\] ", shown, re.M)
    last = "[2] an interval needs at least 5 patients of each class, and 'red' has 4\n"
    assert shown.endswith(last)
