import numpy as np
import pandas as pd
import pytest

from wsikd.evaluation.seeds import SeedSettings
from wsikd.nuclei.score.metrics import NUCLEI_METRICS
from wsikd.nuclei.score.seeds import (
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


def redrawn_means(table, name):
    """Mean over runs and images of test sets drawn patient by patient."""
    random = np.random.default_rng(3)
    for _ in range(300):
        times = dict(zip("abc", random.multinomial(3, np.full(3, 1 / 3)), strict=True))
        yield np.average(table[name], weights=table["patient_id"].map(times))


def test_the_value_is_the_mean_over_runs_and_images_beside_the_spread_of_runs():
    table = rows(0, "n-seed1", "n-seed2")
    found = score_segmenter(table, SETTINGS)
    by_run = table.groupby("run")["aji"].mean()
    estimate = found["metrics"]["aji"]
    assert estimate["value"] == pytest.approx(table["aji"].mean())
    assert (estimate["lowest"], estimate["highest"]) == pytest.approx((by_run.min(), by_run.max()))
    assert estimate["deviation"] == pytest.approx(by_run.std())
    assert (found["images"], found["patients"], found["reason"]) == (6, 3, None)


def test_the_interval_is_that_of_a_loop_which_draws_patients_for_all_runs_at_once():
    table = rows(1, "n-seed1", "n-seed2")
    found = score_segmenter(table, SETTINGS)["metrics"]["dice"]
    low, high = np.percentile(list(redrawn_means(table, "dice")), [2.5, 97.5])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-6)


def test_a_difference_is_paired():
    first, second = rows(1, "n-seed1", "n-seed2"), rows(2, "control")
    found = compare_segmenters(first, second, SETTINGS)["metrics"]["f1"]
    drawn = np.subtract(*(list(redrawn_means(table, "f1")) for table in (first, second)))
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found["value"] == pytest.approx(first["f1"].mean() - second["f1"].mean())
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-6)


def test_images_of_one_patient_have_no_interval():
    table = rows(0, "n").assign(patient_id="a")
    for found in (score_segmenter(table, SETTINGS), compare_segmenters(table, table, SETTINGS)):
        assert found["reason"] == "an interval needs at least 2 patients, got 1"
        assert found["metrics"]["dice"]["low"] is None
    assert score_segmenter(table, SETTINGS)["metrics"]["dice"]["deviation"] is None


def test_tables_have_a_row_for_each_segmenter_and_each_difference():
    first, second = rows(1, "n-seed1", "n-seed2"), rows(2, "control")
    result = {
        "segmenters": [
            {"name": "n", "labels": "none", "runs": ["n-seed1", "n-seed2"]}
            | score_segmenter(first, SETTINGS),
            {"name": "control", "labels": "threshold", "runs": ["control"]}
            | score_segmenter(second, SETTINGS),
        ],
        "differences": [
            {"segmenter": "n", "reference": "control"} | compare_segmenters(first, second, SETTINGS)
        ],
    }
    shown = segmenter_summary(result)
    assert shown["segmenter"].tolist() == ["n", "control"]
    assert " to " in shown["range over runs"][0]
    assert shown["range over runs"][1] == ""
    assert shown["Dice %"][0].startswith(f"{100 * first['dice'].mean():.1f} (")
    assert segmenter_differences(result)["minus"].tolist() == ["control"]
    assert segmenter_differences({"differences": []}).empty
