import re

import pytest

from wsikd.config import Settings
from wsikd.evaluation.folds import pool_runs
from wsikd.runs import Provenance, RunFolder


@pytest.fixture
def pool(tmp_path, manifest):
    def pool():
        return pool_runs(tmp_path / "runs", manifest, checkpoint="best", split="test")

    return pool


def test_all_folds_of_a_run_are_one(write_run, pool):
    for fold in range(3):
        write_run("teacher", 10.0, fold)
    (run,), left_out = pool()
    assert (run.name, run.folds, len(run.predictions)) == ("teacher-10x", (0, 1, 2), 12)
    assert left_out == {}


def test_a_missing_fold_leaves_the_run_out_by_name(write_run, pool):
    write_run("student", 1.25, 0)
    write_run("student", 1.25, 2)
    runs, left_out = pool()
    assert runs == []
    assert left_out == {
        "student-1.25x": "student-1.25x lacks folds: 1; train them to pool all folds"
    }


def test_an_unfinished_run_is_left_out(write_run, pool):
    write_run("teacher", 10.0)
    write_run("student", 1.25, complete=False)
    (run,), left_out = pool()
    assert run.name == "teacher-10x"
    assert "student-1.25x is not complete" in left_out["student-1.25x"]


@pytest.mark.parametrize("method", ["pair", "probe", "segment"])
def test_runs_that_predict_no_region_of_the_cohort_are_passed_over(
    tmp_path, write_run, pool, method
):
    write_run("teacher", 10.0)
    made = Provenance(name=f"{method}-40x", method=method, classes=())
    RunFolder(tmp_path / "runs" / made.name).start(Settings(), made).finish(seconds=1.0)
    runs, left_out = pool()
    assert [run.name for run in runs] == ["teacher-10x"]
    assert left_out == {}


@pytest.mark.parametrize("folds", [(None,), (0, 1, 2)])
@pytest.mark.parametrize("column", ["split", "fold", "patient_id", "label"])
def test_a_run_trained_before_the_manifest_changed_is_left_out(
    write_run, pool, manifest, folds, column
):
    for fold in folds:
        write_run("teacher", 10.0, fold)
    changed = {"split": "train", "fold": "1", "patient_id": "p99", "label": "red"}
    manifest.loc[0, column] = changed[column]
    _, left_out = pool()
    if column == ("split" if folds != (None,) else "fold"):  # the other way to split: not used
        assert left_out == {}
    else:
        assert re.search(
            "^teacher-10x.* was trained on other splits.* as of slide s00; .* train it again$",
            left_out["teacher-10x"],
        )


def test_a_label_that_is_no_class_of_the_run_leaves_it_out(write_run, pool, manifest):
    manifest.loc[0, "label"] = "green"
    write_run("teacher", 10.0)
    _, left_out = pool()
    assert "labelled 'green', which is none of its classes" in left_out["teacher-10x"]


def test_teachers_come_first_and_finer_runs_before_coarser_ones(write_run, pool):
    write_run("student", 1.25)
    write_run("student", 5.0)
    write_run("baseline", 1.25)
    runs, _ = pool()
    assert [run.name for run in runs] == ["baseline-1.25x", "student-5x", "student-1.25x"]
