import numpy as np
import pandas as pd
import pytest

from wsikd.evaluation.seeds import SeedSettings
from wsikd.nuclei.score.documents import About
from wsikd.nuclei.score.metrics import NUCLEI_METRICS
from wsikd.nuclei.score.seeds import (
    SegmenterRows,
    compare_segmenters,
    score_segmenter,
    segmenter_differences,
    segmenter_summary,
)

SETTINGS = SeedSettings(draws=300, bootstrap_seed=3)
PATIENTS = ["a", "a", "b", "c", "c", "c"]  # of six images


def rows(seed, *runs):
    """Scores of each run on six images of three patients, in no order."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {"run": run, "image": f"i{k}", "patient_id": patient}
        for run in runs
        for k, patient in enumerate(PATIENTS)
    )
    table[list(NUCLEI_METRICS)] = random.random((len(table), len(NUCLEI_METRICS)))
    return table.sample(frac=1, random_state=seed)


def scored(table, name="n", labels="none"):
    runs = tuple(sorted(set(table["run"])))
    return SegmenterRows(About(name=name, control=False, labels=labels, runs=runs), table)


def redrawn_means(table, name):
    """Mean over runs and images of test sets drawn patient by patient."""
    random = np.random.default_rng(3)
    for _ in range(300):
        times = dict(zip("abc", random.multinomial(3, np.full(3, 1 / 3)), strict=True))
        yield np.average(table[name], weights=table["patient_id"].map(times))


def test_the_value_is_the_mean_over_runs_and_images_beside_the_spread_of_runs():
    table = rows(0, "n-seed1", "n-seed2")
    found = score_segmenter(scored(table), SETTINGS)
    by_run = table.groupby("run")["aji"].mean()
    estimate = found.metrics["aji"]
    assert estimate.value == pytest.approx(table["aji"].mean())
    assert (estimate.lowest, estimate.highest) == pytest.approx((by_run.min(), by_run.max()))
    assert estimate.deviation == pytest.approx(by_run.std())
    assert (found.images, found.patients, found.reason) == (6, 3, None)


def test_the_interval_is_that_of_a_loop_which_draws_patients_for_all_runs_at_once():
    table = rows(1, "n-seed1", "n-seed2")
    found = score_segmenter(scored(table), SETTINGS).metrics["dice"]
    low, high = np.percentile(list(redrawn_means(table, "dice")), [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


def test_a_difference_is_paired():
    first, second = rows(1, "n-seed1", "n-seed2"), rows(2, "control")
    found = compare_segmenters(scored(first), scored(second), SETTINGS).metrics["f1"]
    drawn = np.subtract(*(list(redrawn_means(table, "f1")) for table in (first, second)))
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found.value == pytest.approx(first["f1"].mean() - second["f1"].mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


def test_images_of_one_patient_have_no_interval():
    table = rows(0, "n").assign(patient_id="a")
    one = scored(table)
    for found in (score_segmenter(one, SETTINGS), compare_segmenters(one, one, SETTINGS)):
        assert found.reason == "an interval needs at least 2 patients, got 1"
        assert found.metrics["dice"].low is None
    assert score_segmenter(scored(table), SETTINGS).metrics["dice"].deviation is None


def test_tables_have_a_row_for_each_segmenter_and_each_difference():
    first, second = rows(1, "n-seed1", "n-seed2"), rows(2, "control")
    segmenter, control = scored(first), scored(second, "control", "threshold")
    shown = segmenter_summary([score_segmenter(each, SETTINGS) for each in (segmenter, control)])
    assert shown["segmenter"].tolist() == ["n", "control"]
    assert " to " in shown["range over runs"][0]
    assert shown["range over runs"][1] == ""
    assert shown["Dice %"][0].startswith(f"{100 * first['dice'].mean():.1f} (")
    difference = compare_segmenters(segmenter, control, SETTINGS)
    assert segmenter_differences([difference])["minus"].tolist() == ["control"]
    assert segmenter_differences([]).empty
