import json
import re

import pandas as pd
import pytest

from wsikd.errors import NothingUsableError
from wsikd.evaluation import (
    ControlSettings,
    Estimate,
    EvaluateSettings,
    difference_table,
    evaluate_runs,
    read_metrics,
)
from wsikd.evaluation.notes import NO_WIDTH
from wsikd.methods.controls import refresh_controls
from wsikd.report.words import headline
from wsikd.runs import RunFolder

SETTINGS = EvaluateSettings(draws=500)


def evaluate(runs, store, manifest, settings):
    """Evaluate where the regions are, so that the controls can be made."""
    notes = refresh_controls(runs, store, manifest, settings.control)
    return evaluate_runs(runs, manifest, settings, notes=notes)


def by_name(metrics):
    return {run.name: run for run in metrics.runs}


def test_scores_the_folds_together_beside_both_controls(tmp_path, write_run, store, manifest):
    for fold in range(3):
        write_run("teacher", 10.0, fold)
        write_run("student", 1.25, fold, wrong=["s00", "s01", "s02"])
    metrics = evaluate(tmp_path / "runs", store, manifest, SETTINGS)
    names = ["teacher-10x", "student-1.25x", "control-colour", "control-majority"]
    assert [run.name for run in metrics.runs] == names
    student = by_name(metrics)["student-1.25x"].units["slide"]
    assert student.metrics["plain_accuracy"].value == 0.75
    assert student.confusion == ((4, 2), (1, 5))
    majority = by_name(metrics)["control-majority"].units["patient"]
    assert majority.metrics["plain_accuracy"].value == 0.5


def test_what_is_written_is_what_is_returned(tmp_path, write_run, manifest):
    write_run("teacher", 10.0)
    metrics = evaluate_runs(tmp_path / "runs", manifest, SETTINGS)
    assert json.loads((tmp_path / "runs" / "metrics.json").read_text()) == metrics.model_dump(
        mode="json"
    )
    table = pd.read_csv(tmp_path / "runs" / "metrics.csv")
    assert table["unit"].tolist() == ["region", "slide", "patient"]
    assert metrics.notes == ("no control stands beside the models; evaluate where the regions are",)


def test_a_difference_is_zero_wide_between_equal_runs(tmp_path, write_run, manifest):
    wrong = ["s00", "s05"]
    teacher = write_run("teacher", 10.0, wrong=wrong)
    write_run("student", 1.25, wrong=wrong, of=teacher)
    (difference,) = [
        one
        for one in evaluate_runs(tmp_path / "runs", manifest, SETTINGS).differences
        if one.unit == "slide"
    ]
    assert (difference.run, difference.reference) == ("student-1.25x", "teacher-10x")
    assert difference.metrics["f1"] == Estimate(value=0.0, low=0.0, high=0.0, note=NO_WIDTH)


def test_a_difference_is_over_what_both_runs_predicted(tmp_path, write_run, manifest):
    teacher = write_run("teacher", 10.0)
    write_run("student", 1.25, of=teacher, wrong=["s00"], without=manifest["slide_id"][4:])
    metrics = evaluate_runs(tmp_path / "runs", manifest, SETTINGS)
    difference = next(one for one in metrics.differences if one.unit == "region")
    assert difference.count == 4
    assert difference.metrics["plain_accuracy"].value == -0.25


def test_a_difference_over_nothing_in_common_is_unknown(tmp_path, write_run, manifest):
    teacher = write_run("teacher", 10.0, without=manifest["slide_id"][:6])
    write_run("student", 1.25, of=teacher, without=manifest["slide_id"][6:])
    metrics = evaluate_runs(tmp_path / "runs", manifest, SETTINGS)
    difference = next(one for one in metrics.differences if one.unit == "slide")
    assert difference.metrics["accuracy"] == Estimate(value=None, low=None, high=None)
    assert difference.reason == "the two runs predict for nothing in common"
    assert difference_table(metrics)["balanced"].tolist() == [""]
    assert not any("level" in sentence for sentence in headline(metrics))


def test_one_patient_has_a_value_but_no_interval(tmp_path, write_run, manifest):
    manifest["patient_id"] = "p"
    write_run("teacher", 10.0)
    metrics = evaluate_runs(tmp_path / "runs", manifest, SETTINGS)
    slides = by_name(metrics)["teacher-10x"].units["slide"]
    why = "an interval needs at least 2 patients, got 1"
    assert slides.metrics["accuracy"] == Estimate(value=1.0, low=None, high=None, note=why)
    assert slides.reason == why


def test_a_patient_of_two_labels_is_counted_not_scored(tmp_path, write_run, manifest):
    manifest.loc[1, "patient_id"] = "p00"
    write_run("teacher", 10.0)
    metrics = evaluate_runs(tmp_path / "runs", manifest, SETTINGS)
    patients = by_name(metrics)["teacher-10x"].units["patient"]
    assert (patients.count, patients.mixed_labels) == (10, 1)


def test_computation_is_counted_per_slide_and_against_the_teacher(tmp_path, write_run, manifest):
    teacher = write_run("teacher", 10.0, gmacs=64.0)
    write_run("student", 1.25, gmacs=0.5, of=teacher)
    metrics = evaluate_runs(tmp_path / "runs", manifest, SETTINGS)
    assert by_name(metrics)["student-1.25x"].cost.model_dump() == {
        "gmacs_per_region": 0.5,
        "gmacs_per_slide": 0.5,
        "gflops_per_region": 1.0,
        "gflops_per_slide": 1.0,
        "times_cheaper_than_teacher": 128.0,
    }


def test_compat_release_is_the_mean_over_evenly_drawn_classes(tmp_path, write_run, manifest):
    # 6 blue slides, one wrong, and 3 red slides, one wrong
    write_run("teacher", 10.0, wrong=["s00", "s01"], without=["s03", "s05", "s07"])
    settings = EvaluateSettings(draws=20_000, compat="release")
    metrics = evaluate_runs(tmp_path / "runs", manifest, settings)
    estimate = by_name(metrics)["teacher-10x"].units["region"].metrics["plain_accuracy"]
    assert estimate.value == pytest.approx((5 / 6 + 2 / 3) / 2, abs=0.005)
    assert metrics.differences == ()


@pytest.mark.parametrize("name", ["run.json", "predictions.csv"])
def test_a_damaged_run_is_left_out_by_name(tmp_path, write_run, store, manifest, name):
    for fold in range(3):
        write_run("teacher", 10.0, fold)
        damaged = write_run("student", 1.25, fold)
    (damaged.path / name).write_text("junk")
    metrics = evaluate(tmp_path / "runs", store, manifest, SETTINGS)
    assert set(by_name(metrics)) == {"teacher-10x", "control-colour", "control-majority"}
    (left,) = metrics.left_out
    assert left.name == "student-1.25x"
    assert left.reason.startswith(f"{damaged.path / name}: ")


@pytest.mark.parametrize(
    ("checkpoint", "told"),
    [
        ("best", "validation regions, whose loss chose the epoch of every model;"),
        ("last", "validation regions; they did not choose the epoch, .* where --patience ended"),
    ],
)
def test_numbers_of_validation_regions_say_what_these_have_decided(
    tmp_path, write_run, manifest, checkpoint, told
):
    run = write_run("teacher", 10.0)
    manifest["split"] = "val"
    run.write_learnt(manifest)
    run.write_predictions(run.read_predictions().assign(split="val"), checkpoint)
    settings = SETTINGS.model_copy(update={"split": "val", "checkpoint": checkpoint})
    notes = evaluate_runs(tmp_path / "runs", manifest, settings).notes
    assert len([note for note in notes if re.search(told, note)]) == 1


@pytest.mark.parametrize(
    ("checkpoint", "told"),
    [
        (
            "best",
            "50 % of slides right at the epoch of its best .* 75 % at its last .*--checkpoint last",
        ),
        (
            "last",
            "75 % of slides right at its last .* 50 % at the epoch of its best .*--checkpoint best",
        ),
    ],
)
def test_a_run_that_is_notably_better_at_another_epoch_says_so(
    tmp_path, write_run, manifest, checkpoint, told
):
    """Of twelve slides six are right at one epoch and nine at the other."""
    slides = list(manifest["slide_id"])
    same = write_run("teacher", 10.0, wrong=slides[:3])
    same.write_predictions(same.read_predictions(), "last")
    later = write_run("student", 5.0, wrong=slides[:3]).read_predictions()
    write_run("student", 5.0, wrong=slides[:6]).write_predictions(later, "last")
    settings = SETTINGS.model_copy(update={"checkpoint": checkpoint})
    notes = evaluate_runs(tmp_path / "runs", manifest, settings).notes
    (told_of,) = [note for note in notes if "--checkpoint" in note]
    assert re.match(f"student-5x gets {told} as well", told_of)


def test_runs_without_another_epoch_are_scored_without_a_word_on_it(tmp_path, write_run, manifest):
    write_run("teacher", 10.0)
    notes = evaluate_runs(tmp_path / "runs", manifest, SETTINGS).notes
    assert not [note for note in notes if "epoch" in note]


def test_no_run_at_all_names_the_command_that_makes_one(tmp_path, manifest):
    with pytest.raises(NothingUsableError, match="no run to evaluate; run wsikd teach first"):
        evaluate_runs(tmp_path, manifest, SETTINGS)


def test_controls_of_other_settings_are_told_where_they_cannot_be_made_anew(
    tmp_path, write_run, store, manifest
):
    for fold in range(3):
        write_run("teacher", 10.0, fold)
    evaluate(tmp_path / "runs", store, manifest, SETTINGS)
    asked = SETTINGS.model_copy(update={"control": ControlSettings(bins=4)})
    notes = evaluate_runs(tmp_path / "runs", manifest, asked).notes
    assert notes[0] == "control-colour-fold0 was made with bins 8, not 4; its numbers are of that"
    assert evaluate(tmp_path / "runs", store, manifest, asked).notes == ()


def test_what_a_model_lacks_is_told_before_what_a_control_lacks(tmp_path, write_run, manifest):
    control = write_run("teacher", None, 0)
    made = control.read_provenance().model_copy(update={"method": "control"})
    control.path.rename(tmp_path / "runs" / "control-colour-fold0")
    RunFolder(tmp_path / "runs" / "control-colour-fold0").write_provenance(made)
    write_run("teacher", 10.0, 0)
    with pytest.raises(NothingUsableError, match="no run to evaluate; teacher-10x lacks folds: 1"):
        evaluate_runs(tmp_path / "runs", manifest, SETTINGS)


@pytest.mark.parametrize("text", ["", "junk", "[]", '{"format": "wsikd-metrics", "version": 1}'])
def test_damaged_metrics_name_the_command_that_makes_them(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(NothingUsableError, match=r"^.*metrics.json: .*; run wsikd evaluate$"):
        read_metrics(tmp_path)


def test_metrics_of_another_version_are_refused(tmp_path):
    (tmp_path / "metrics.json").write_text('{"format": "wsikd-metrics", "version": 9}')
    with pytest.raises(NothingUsableError, match=r"version 1, found wsikd-metrics version 9;"):
        read_metrics(tmp_path)
