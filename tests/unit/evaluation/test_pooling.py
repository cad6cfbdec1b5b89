import pytest

from wsikd.evaluation.pooling import find_pairs, pool_runs


@pytest.fixture
def pool(tmp_path):
    def pool(fold_count=3):
        return pool_runs(tmp_path / "runs", fold_count=fold_count, checkpoint="best", split="test")

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


def test_a_slide_tested_in_two_folds_leaves_the_run_out(write_run, pool, manifest):
    write_run("teacher", 10.0, 0)
    manifest["fold"] = "1"
    write_run("teacher", 10.0, 1)
    _, left_out = pool(fold_count=2)
    assert "predicts for slide s00 in more than one fold" in left_out["teacher-10x"]


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


def test_a_student_is_held_against_its_teacher_and_its_own_baseline(write_run, pool):
    write_run("teacher", 10.0)
    for magnification in (1.25, 5.0):
        write_run("baseline", magnification)
        write_run("student", magnification)
    write_run("student", 1.25, seed=1)
    runs, _ = pool()
    pairs = {(run.name, reference.name) for run, reference in find_pairs(runs)}
    assert pairs == {
        ("baseline-5x", "teacher-10x"),
        ("baseline-1.25x", "teacher-10x"),
        ("student-5x", "teacher-10x"),
        ("student-5x", "baseline-5x"),
        ("student-1.25x", "teacher-10x"),
        ("student-1.25x", "baseline-1.25x"),
        ("student-1.25x-seed1", "teacher-10x"),
        ("student-1.25x-seed1", "baseline-1.25x"),
    }
