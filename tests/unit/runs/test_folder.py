import json
import os
from pathlib import Path

import pandas as pd
import pytest

from wsikd.config import Settings
from wsikd.errors import BusyError, CheckpointError, ConfigError, ResumeError
from wsikd.runs import PREDICTION_COLUMNS, Provenance, RunFolder, find_runs, probability_columns


class Training(Settings):
    epochs: int = 3
    classes: tuple[str, ...] = ("a", "b")


def provenance(**changes):
    values = {"name": "teacher-10x", "method": "teacher", "classes": ("a", "b"),
              "inputs": {"slides": "1", "regions": "2"}}  # fmt: skip
    return Provenance(**{**values, **changes})


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "runs" / "teacher-10x").start(Training(), provenance())


def test_a_run_is_complete_only_once_it_is_finished(tmp_path):
    run = RunFolder(tmp_path / "teacher-10x")
    assert not run.exists()
    run.start(Training(), provenance())
    assert run.exists()
    assert not run.is_complete()
    run.finish(seconds=12.5)
    assert run.is_complete()
    told = run.read_provenance()
    assert told.seconds == 12.5
    assert told.started <= told.finished
    assert told.versions["torch"].startswith("2.")


@pytest.mark.parametrize(
    ("name", "fold"),
    [("x-fold1", None), ("x-fold1-fold2", 2), ("x-fold12b", 1), ("x-fold1-fold1", 1)],
)
def test_a_new_run_is_not_named_like_a_fold_that_it_is_not(tmp_path, name, fold):
    with pytest.raises(ConfigError) as refused:
        RunFolder(tmp_path / name).start(Training(), provenance(name=name, fold=fold))
    assert str(refused.value) == (
        "--name must not hold -fold and a number, as that is how the folds of a run are named, "
        f"got '{name}'; leave it out"
    )
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(("name", "fold"), [("x-fold1", 1), ("x-folds", None), ("fold1-x", None)])
def test_other_names_are_not_taken_for_folds(tmp_path, name, fold):
    run = RunFolder(tmp_path / name).start(Training(), provenance(name=name, fold=fold))
    assert run.exists()


def test_the_settings_are_kept_with_their_defaults(run):
    assert run.read_settings() == {"epochs": 3, "classes": ["a", "b"]}


def test_a_run_started_again_with_the_same_settings_goes_on(run):
    before = run.read_provenance()
    assert run.start(Training(), provenance()).read_provenance() == before


def test_a_run_started_again_with_other_settings_is_refused_by_the_difference(run):
    with pytest.raises(ResumeError) as refusal:
        run.start(Training(epochs=4), provenance())
    assert str(refusal.value) == (
        f"{run.path}: was started with epochs 3, now asked for 4; "
        "remove the folder to start anew, or name another run with --name"
    )


@pytest.mark.parametrize("inputs", [{"slides": "1", "regions": "3"}, {"slides": "1"}])
def test_a_run_started_again_on_other_inputs_is_refused_by_their_name(run, inputs):
    with pytest.raises(ResumeError, match="regions changed since it was started"):
        run.start(Training(), provenance(inputs=inputs))


def test_a_folder_that_a_crash_left_without_run_json_is_started_anew(run):
    (run.path / "run.json").unlink()
    run.start(Training(epochs=9), provenance())
    assert run.read_settings()["epochs"] == 9


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "must be JSON"),
        ("[]", "must hold a mapping, got list"),
        ('{"format": "wsikd-run", "version": 0}',
         "expected wsikd-run version 1, found wsikd-run version 0"),
        ('{"format": "wsikd-run", "version": 1}', "name is required"),
        ('{"format": "wsikd-run", "version": 1, "name": "x", "classes": [], "method": "magic"}',
         "method must be "),
    ],
)  # fmt: skip
def test_a_damaged_run_json_is_refused_by_its_file(run, text, rule):
    path = run.path / "run.json"
    path.write_text(text)
    with pytest.raises(CheckpointError) as refusal:
        run.read_provenance()
    assert str(refusal.value).startswith(f"{path}: {rule}")
    assert str(refusal.value).endswith(f"; remove {run.path} and train it again")


def test_a_run_of_a_later_version_is_kept_and_wsikd_updated(run):
    (run.path / "run.json").write_text('{"format": "wsikd-run", "version": 99}')
    with pytest.raises(CheckpointError) as refusal:
        run.read_provenance()
    assert str(refusal.value) == (
        f"{run.path / 'run.json'}: expected wsikd-run version 1, found wsikd-run version 99; "
        "update wsikd"
    )


@pytest.mark.parametrize("damage", ["epochs: [3", "- epochs", "epochs: 3\nepochs: 4\n", None])
def test_damaged_settings_of_a_run_are_refused_like_its_other_files(run, damage):
    if damage is None:
        run.settings_path.unlink()
    else:
        run.settings_path.write_text(damage)
    with pytest.raises(CheckpointError) as refusal:
        run.start(Training(), provenance())
    assert str(refusal.value).startswith(f"{run.settings_path}: ")
    assert str(refusal.value).endswith(f"; remove {run.path} and train it again")


def test_of_an_epoch_done_twice_the_last_line_of_the_log_counts(run):
    for epoch, loss in ((1, 0.9), (2, 0.8), (2, 0.7), (3, 0.6)):
        run.log({"epoch": epoch, "train": {"loss": loss}})
    assert [entry["train"]["loss"] for entry in run.read_log()] == [0.9, 0.7, 0.6]


@pytest.mark.parametrize("cut", ['{"epoch": 2, "train": {"loss": 0.5}', '{"epo', ""])
def test_a_line_cut_short_by_a_crash_costs_the_log_that_line_only(run, cut):
    run.log({"epoch": 1})
    with (run.path / "log.jsonl").open("a") as file:
        file.write(cut)
    assert run.read_log() == [{"epoch": 1}]
    run.log({"epoch": 2})
    assert run.read_log() == [{"epoch": 1}, {"epoch": 2}]


def test_a_run_without_log_has_no_entries(tmp_path):
    assert RunFolder(tmp_path / "none").read_log() == []


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_predictions_come_back_with_ids_and_labels_as_text(run, checkpoint):
    row = dict.fromkeys(PREDICTION_COLUMNS, 0) | {
        "slide_id": "007", "patient_id": "1e5", "region_id": "region-000", "split": "test",
        "label": "NA", "gmacs": 0.25, "p_0": 0.75, "p_1": 0.25,
    }  # fmt: skip
    run.write_predictions(pd.DataFrame([row]), checkpoint)
    assert run.read_predictions(checkpoint).to_dict("records") == [row]


def test_missing_predictions_name_the_run_to_finish(run):
    with pytest.raises(CheckpointError, match="no predictions; finish the run teacher-10x first"):
        run.read_predictions()


HEADER = b"slide_id,patient_id,region_id,split,label,width,height,gmacs,p_0,p_1\n"


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"", "last line is cut short"),
        (b"\n", "No columns to parse"),
        (b"\xff\xfe\x00\n", "can't decode"),
        (b"a,b\n1,2,3\n4\n5,6,7,8,9\n", "Error tokenizing data|no column"),
        (HEADER[:-5] + b"\n", "no column p_1"),
        (HEADER + b"s,p,r,test,a,8,8,1.0,0.5,0.", "last line is cut short"),
        (HEADER + b"s,p,r,test,a,8,8,1.0,0.5,half\n", "half"),
        (HEADER + b"s,p,r,test,a,8,8,1.0,0.5\n", "an empty cell"),
    ],
)
def test_damaged_predictions_are_refused_by_the_name_of_their_file(run, damaged, reason):
    run.predictions_path().write_bytes(damaged)
    with pytest.raises(
        CheckpointError, match=f"^.*predictions.csv: must be a table.*({reason}).*$"
    ):
        run.read_predictions()


def test_the_best_and_the_last_checkpoint_lie_side_by_side(run):
    names = [run.model_path(which).name for which in ("best", "last")]
    assert names == ["model.safetensors", "model-last.safetensors"]


def test_runs_are_found_by_their_run_json_in_order_of_name(tmp_path):
    for name in ("b", "a"):
        RunFolder(tmp_path / name).start(Training(), provenance(name=name))
    (tmp_path / "c").mkdir()
    (tmp_path / "metrics.json").write_text(json.dumps({}))
    assert [run.name for run in find_runs(tmp_path)] == ["a", "b"]


def test_probabilities_have_a_column_per_class():
    assert probability_columns("abc") == ["p_0", "p_1", "p_2"]


def test_a_run_is_written_to_by_one_process_at_a_time(run):
    again = RunFolder(run.path)
    with run.alone(), pytest.raises(BusyError) as refused, again.alone():
        pass
    assert str(refused.value) == (
        f"{run.path}: process {os.getpid()} is writing to it; try again when it is done"
    )
    with again.alone():
        assert again.start(Training(), provenance()).exists()  # what is there is only compared


@pytest.mark.parametrize(("epochs", "changes"), [(41, {}), (3, {"inputs": {"slides": "another"}})])
def test_a_run_in_work_is_called_busy_before_it_is_called_another(run, epochs, changes):
    settings, other = Training(epochs=epochs), provenance(**changes)
    with run.alone(), pytest.raises(BusyError) as refused:
        RunFolder(run.path).start(settings, other)
    assert str(refused.value) == (
        f"{run.path}: process {os.getpid()} is writing to it; try again when it is done"
    )
    with pytest.raises(ResumeError, match="remove the folder to start anew"):
        RunFolder(run.path).start(settings, other)


def test_a_notebook_shows_which_run_a_folder_is():
    assert repr(RunFolder(Path("runs/teacher-10x"))) == "RunFolder('runs/teacher-10x')"


def test_a_lock_makes_no_run(tmp_path):
    run = RunFolder(tmp_path / "teacher-10x")
    with run.alone():
        assert find_runs(tmp_path) == []
    assert find_runs(tmp_path) == []
