"""Who is held against whom, on runs that were written with what they have learnt from."""

import shutil

import pytest

from wsikd.evaluation import EvaluateSettings, evaluate_runs
from wsikd.runs import RunFolder

SETTINGS = EvaluateSettings(draws=100)


@pytest.fixture
def told(tmp_path, manifest):
    """Evaluate: what each run is held against, how many times cheaper it is, and the notes."""

    def evaluate():
        metrics = evaluate_runs(tmp_path / "runs", manifest, SETTINGS)
        pairs = {(one.run, one.reference) for one in metrics.differences}
        savings = {run.name: run.cost.times_cheaper_than_teacher for run in metrics.runs}
        notes = [note for note in metrics.notes if "control" not in note]
        return pairs, savings, notes

    return evaluate


def test_a_student_is_held_against_its_teacher_and_its_own_baseline(write_run, told):
    teacher = write_run("teacher", 10.0)
    for magnification in (1.25, 5.0):
        write_run("baseline", magnification)
        write_run("student", magnification, of=teacher)
    write_run("student", 1.25, seed=1, of=teacher)
    pairs, _, notes = told()
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
    assert notes == []


def test_a_teacher_that_the_student_never_saw_is_not_its_reference(write_run, told):
    teacher = write_run("teacher", 10.0, gmacs=64.0)
    write_run("student", 1.25, gmacs=1.0, of=teacher)
    write_run("teacher", 20.0, gmacs=256.0)  # finer
    write_run("teacher", 10.0, gmacs=640.0, name="alt")  # of the same seed, before it by name
    pairs, savings, notes = told()
    assert pairs == {("student-1.25x", "teacher-10x")}
    assert savings["student-1.25x"] == 64.0
    assert notes == []


def test_each_student_and_baseline_has_the_teacher_of_its_own_seed(write_run, told):
    for seed in (0, 1):
        teacher = write_run("teacher", 10.0, seed=seed, gmacs=10.0 * (seed + 1))
        write_run("student", 1.25, seed=seed, of=teacher)
        write_run("baseline", 1.25, seed=seed)
    pairs, savings, _ = told()
    for one, other in pairs:
        assert one.endswith("-seed1") == other.endswith("-seed1")
    assert len(pairs) == 2 * 3  # student to teacher and baseline, baseline to teacher
    assert (savings["student-1.25x"], savings["student-1.25x-seed1"]) == (10.0, 20.0)
    assert (savings["baseline-1.25x"], savings["baseline-1.25x-seed1"]) == (10.0, 20.0)


def test_a_student_of_another_seed_than_its_teacher_keeps_the_one_it_recorded(write_run, told):
    first, _ = write_run("teacher", 10.0), write_run("teacher", 10.0, seed=1)
    write_run("student", 1.25, seed=1, of=first)
    pairs, _, _ = told()
    assert pairs == {("student-1.25x-seed1", "teacher-10x")}


def test_a_baseline_that_has_taught_is_the_teacher_of_its_student(write_run, told):
    teacher = write_run("teacher", 10.0, gmacs=64.0)
    write_run("student", 5.0, gmacs=16.0, of=teacher)
    baseline = write_run("baseline", 5.0, gmacs=16.0)
    write_run("student", 1.25, gmacs=1.0, of=baseline)
    pairs, savings, _ = told()
    assert pairs == {
        ("student-5x", "teacher-10x"),
        ("student-5x", "baseline-5x"),
        ("baseline-5x", "teacher-10x"),
        ("student-1.25x", "baseline-5x"),
    }
    assert savings == {
        "teacher-10x": 1.0,
        "student-5x": 4.0,
        "baseline-5x": 4.0,
        "student-1.25x": 16.0,
    }


def test_a_baseline_that_has_taught_alone_is_its_own_teacher(write_run, told):
    write_run("student", 1.25, gmacs=1.0, of=write_run("baseline", 5.0, gmacs=16.0))
    write_run("baseline", 1.25, gmacs=2.0)
    pairs, savings, _ = told()
    assert pairs == {
        ("student-1.25x", "baseline-5x"),
        ("student-1.25x", "baseline-1.25x"),
        ("baseline-1.25x", "baseline-5x"),
    }
    assert savings == {"baseline-5x": 1.0, "student-1.25x": 16.0, "baseline-1.25x": 8.0}


def test_a_fine_tuned_run_has_its_own_student_and_that_ones_teacher(write_run, told):
    first = write_run("teacher", 10.0, gmacs=64.0)
    second = write_run("teacher", 10.0, name="alt", gmacs=128.0)
    write_run("student", 1.25, of=first)
    other = write_run("student", 1.25, name="mine", of=second)
    write_run("finetuned", 1.25, of=other)
    pairs, savings, _ = told()
    assert {pair for pair in pairs if pair[0] == "finetuned-1.25x"} == {
        ("finetuned-1.25x", "alt"),
        ("finetuned-1.25x", "mine"),
    }
    assert savings["finetuned-1.25x"] == 128.0


@pytest.mark.parametrize(
    "other", [{"architecture": "resnet18"}, {"splits": "of yesterday"}, {"magnification": 2.5}]
)
def test_a_baseline_of_another_kind_is_not_held_against_a_student(write_run, told, other):
    write_run("student", 1.25, of=write_run("teacher", 10.0))
    about = {"magnification": 1.25, "name": "b", **other}
    write_run("baseline", about.pop("magnification"), **about)
    pairs, savings, _ = told()
    assert ("student-1.25x", "b") not in pairs
    has_the_data = "splits" not in other
    assert (savings["b"] is not None) == (("b", "teacher-10x") in pairs) == has_the_data


def test_of_several_baselines_that_of_the_same_seed_is_the_students(write_run, told):
    teacher = write_run("teacher", 10.0)
    for seed in (0, 1, 2):
        write_run("baseline", 1.25, seed=seed)
    write_run("student", 1.25, seed=2, of=teacher)
    write_run("student", 1.25, seed=3, of=teacher)
    pairs, _, _ = told()
    baselines = {one: other for one, other in pairs if one.startswith("student") and "b" in other}
    assert baselines == {
        "student-1.25x-seed2": "baseline-1.25x-seed2",
        "student-1.25x-seed3": "baseline-1.25x",
    }


def test_a_baseline_has_no_teacher_where_several_could_be_it(write_run, told):
    write_run("teacher", 10.0)
    write_run("teacher", 10.0, name="alt")
    write_run("baseline", 1.25)
    pairs, savings, notes = told()
    assert pairs == set()
    assert savings["baseline-1.25x"] is None
    several = "as several could be it: alt and teacher-10x"
    assert notes == [f"baseline-1.25x is held against no teacher, {several}"]


def test_a_teacher_that_was_made_anew_is_named_and_not_compared(write_run, told):
    teacher = write_run("teacher", 10.0)
    student = write_run("student", 1.25, of=teacher)
    write_run("finetuned", 1.25, of=student)
    teacher.model_path().write_text("other weights")
    pairs, savings, notes = told()
    assert pairs == {("finetuned-1.25x", "student-1.25x")}
    assert savings["student-1.25x"] is savings["finetuned-1.25x"] is None
    assert notes == [
        "student-1.25x is not compared with its teacher: teacher-10x was made anew since",
        "finetuned-1.25x is not compared with the teacher of student-1.25x",
    ]


def test_a_run_that_is_gone_is_named_and_another_does_not_take_its_place(write_run, told):
    teacher = write_run("teacher", 10.0, name="mine")
    student = write_run("student", 1.25, of=teacher)
    write_run("finetuned", 1.25, of=student)
    write_run("teacher", 10.0)
    shutil.rmtree(teacher.path)
    shutil.rmtree(student.path)
    pairs, _, notes = told()
    assert pairs == set()
    assert notes == [
        "finetuned-1.25x is not compared with its student and teacher: student-1.25x is gone"
    ]


def test_a_student_of_before_names_were_recorded_finds_its_teacher_by_content(write_run, told):
    teacher = write_run("teacher", 10.0)
    student = write_run("student", 1.25, of=teacher)
    write_run("teacher", 10.0, name="alt")
    made = student.read_provenance()
    student.write_provenance(made.model_copy(update={"sources": {}}))
    assert told()[0] == {("student-1.25x", "teacher-10x")}
    teacher.model_path().unlink()
    assert told()[2] == [
        "student-1.25x is not compared with its teacher: it is gone or was made anew since"
    ]


def test_a_teacher_that_was_renamed_or_copied_is_found(tmp_path, write_run, told):
    teacher = write_run("teacher", 10.0)
    write_run("student", 1.25, of=teacher)
    shutil.copytree(teacher.path, tmp_path / "runs" / "a-copy")
    assert told()[0] == {("student-1.25x", "teacher-10x")}
    shutil.rmtree(teacher.path)
    assert told()[0] == {("student-1.25x", "a-copy")}


class TestFolds:
    def test_the_teacher_is_the_run_whose_folds_taught_them(self, write_run, told):
        for fold in range(3):
            write_run("teacher", 10.0, fold)
            other = write_run("teacher", 10.0, fold, name="mine")
            write_run("student", 1.25, fold, of=other)
        assert told()[0] == {("student-1.25x", "mine")}

    def test_folds_with_different_teachers_have_none(self, write_run, told):
        for fold in range(3):
            teachers = [write_run("teacher", 10.0, fold, name=name) for name in ("one", "two")]
            write_run("student", 1.25, fold, of=teachers[fold % 2])
        pairs, _, notes = told()
        assert pairs == set()
        assert notes == [
            "student-1.25x is not compared with its teacher: folds learnt from one and two"
        ]

    def test_a_teacher_that_lacks_a_fold_is_left_out(self, write_run, told):
        for fold in range(3):
            teacher = write_run("teacher", 10.0, fold)
            write_run("student", 1.25, fold, of=teacher)
        RunFolder(teacher.path).write_provenance(
            teacher.read_provenance().model_copy(update={"status": "running"})
        )
        pairs, _, notes = told()
        assert pairs == set()
        assert notes == ["student-1.25x is not compared with its teacher: teacher-10x is left out"]
