import pytest

from wsikd.config import Settings
from wsikd.errors import CheckpointError
from wsikd.runs import (
    Provenance,
    RunFolder,
    find_finished,
    find_of_fold,
    find_run,
    find_runs,
    runs_called,
)


@pytest.fixture
def runs(tmp_path):
    """Two folds of a teacher, the second unfinished, and a paired encoder."""
    for name, method, fold in (
        ("teacher-10x-fold0", "teacher", 0),
        ("teacher-10x-fold1", "teacher", 1),
        ("pair-x", "pair", None),
    ):
        made = Provenance(name=name, method=method, fold=fold, classes=())
        run = RunFolder(tmp_path / name).start(Settings(), made)
        if fold != 1:
            run.finish(seconds=0.0)
    (tmp_path / "no-run").mkdir()
    return tmp_path


def names(found):
    return [run.name for run in found]


def test_lists_runs_by_name_and_no_other_folder(runs):
    assert names(find_runs(runs)) == ["pair-x", "teacher-10x-fold0", "teacher-10x-fold1"]


@pytest.mark.parametrize(
    ("called", "found"),
    [
        ("pair-x", ["pair-x"]),
        ("runs/pair-x", ["pair-x"]),
        ("teacher-10x", ["teacher-10x-fold0", "teacher-10x-fold1"]),
        ("teacher-10x-fold1", ["teacher-10x-fold1"]),
        ("*-10x", ["teacher-10x-fold0", "teacher-10x-fold1"]),
        ("*", ["pair-x", "teacher-10x-fold0", "teacher-10x-fold1"]),
        ("other", []),
    ],
)
def test_a_name_stands_for_a_run_its_folds_or_a_pattern(runs, called, found):
    assert names(runs_called(runs, called)) == found


def test_one_run_is_found_with_or_without_its_folder(runs):
    assert find_run(runs, "pair-x").path == find_run(runs, "anywhere/pair-x").path


def test_one_run_of_several_folds_has_to_be_named(runs):
    message = "teacher-10x: no such run; name one of teacher-10x-fold0, teacher-10x-fold1$"
    with pytest.raises(CheckpointError, match=message):
        find_run(runs, "teacher-10x")


def test_the_remedy_for_a_missing_run_is_the_callers(runs):
    with pytest.raises(CheckpointError, match="x: no such run; train it by wsikd segment"):
        find_run(runs, "x", "train it by wsikd segment train")


def test_the_run_of_the_same_fold_comes_first(runs):
    assert find_of_fold(runs, "teacher-10x", 0, "").name == "teacher-10x-fold0"
    assert find_of_fold(runs, "teacher-10x-fold1", 0, "").name == "teacher-10x-fold0"


def test_an_unfinished_run_is_refused_with_what_goes_on_with_it(runs):
    message = "teacher-10x-fold1: is not finished; go on with `wsikd teach`$"
    with pytest.raises(CheckpointError, match=message):
        find_of_fold(runs, "teacher-10x", 1, "wsikd teach")


def test_what_goes_on_with_an_unfinished_run_is_the_command_that_made_it(runs):
    message = "teacher-10x-fold1: is not finished; go on with `wsikd teach`$"
    with pytest.raises(CheckpointError, match=message):
        find_of_fold(runs, "teacher-10x", 1, "make it")


def test_the_remedy_for_a_missing_run_of_a_fold_is_the_callers(runs):
    with pytest.raises(CheckpointError, match=r"zzz: no such run; make it with `wsikd pair`$"):
        find_of_fold(runs, "zzz", None, "make it with `wsikd pair`")


def test_a_path_may_lead_to_the_runs_from_here_or_from_the_workspace(runs, tmp_path, monkeypatch):
    for name in ("pair-x", f"{runs.name}/pair-x", str(runs / "pair-x")):
        assert find_of_fold(runs, name, None, "wsikd pair").name == "pair-x"
    monkeypatch.chdir(tmp_path)
    assert find_of_fold(runs, "./no-run/../pair-x", None, "wsikd pair").name == "pair-x"


@pytest.mark.parametrize("name", ["../other/runs/pair-x", "/other/runs/pair-x", "no-run/pair-x"])
def test_a_path_to_another_folder_is_not_taken_for_the_run_of_that_name(runs, name):
    with pytest.raises(CheckpointError) as refusal:
        find_of_fold(runs, name, None, "wsikd pair")
    assert str(refusal.value) == (
        f"{name}: must be a run in {runs}; copy its folder there and name it"
    )


def test_the_first_of_several_names_that_exists_is_taken(runs):
    assert find_finished(runs, ["student-5x", "pair-x"], "wsikd pair").name == "pair-x"
    with pytest.raises(CheckpointError, match=r"a: no such run; make it with `wsikd pair`$"):
        find_finished(runs, ["a", "b"], "make it with `wsikd pair`")
