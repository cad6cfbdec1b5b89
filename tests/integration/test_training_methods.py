"""Teach, distil and fine-tune on a small real store, and what they refuse."""

import os
import re
import shutil
import signal
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from shapely import box

from tests.builders import slide_record
from wsikd import methods
from wsikd.cohort.splits import splits_of_fold
from wsikd.data import colours
from wsikd.data.augment.regions import AugmentSettings
from wsikd.errors import (
    BusyError,
    CheckpointError,
    ConfigError,
    LeakageError,
    ManifestError,
    ResumeError,
    StoppedError,
    StoreError,
)
from wsikd.evaluation import EvaluateSettings, evaluate_runs
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.methods.distil import distil
from wsikd.methods.distil_settings import DistilSettings
from wsikd.methods.finetune import FinetuneSettings, finetune
from wsikd.methods.region_inputs import read_inputs
from wsikd.methods.teach import TeachSettings, teach
from wsikd.models import build_model
from wsikd.models.weights import ModelDescription, load_model, save_model
from wsikd.probing.encoders import patients_of_labels
from wsikd.runs import PREDICTION_COLUMNS, Provenance, RunFolder, find_runs
from wsikd.runs.pictures import PictureFolder
from wsikd.store import RegionStore, SlideWriter
from wsikd.tissue import to_geojson
from wsikd.training.feeds.batches import draw_balanced
from wsikd.training.trainee import Trainee
from wsikd.workspace import Workspace

QUICK = {"epochs": 2, "accumulate": 2, "device": "cpu"}
STUDENT_MAG = 2.5
UNCHANGED = AugmentSettings(
    brightness=0, contrast=0, saturation=0, hue=0, flips=False, quarter_turns=False
)


def write_slide(folder, slide_id, size, *, finest=10.0, more=()):
    """Write a slide with one region of noise at 10x, or what is finest, at 2.5x, and at `more`."""
    random = np.random.default_rng(int(slide_id[1:]))
    levels = [
        PyramidLevel(
            magnification,
            Size(max(1, size.width // side), max(1, size.height // side)),
            Mpp(side, side),
        )
        for magnification, side in ((finest, 1), (STUDENT_MAG, 4), *more)
    ]
    images = [
        random.integers(0, 256, (level.size.height, level.size.width, 3), np.uint8)
        for level in levels
    ]
    writer = SlideWriter(folder, slide_id)
    tissue = TissueRegion(0, Region(0, 0, size), box(0, 0, *size))
    region = writer.write_region(tissue, Mpp(1, 1), levels, enumerate(images))
    record = slide_record(slide_id, (region,), (size.width, size.height), (1, 1))
    writer.commit(record, to_geojson([], Mpp(1, 1)), np.zeros((1, 1, 3), np.uint8))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Keep images this small from waiting for threads to meet."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    for index in range(7):
        write_slide(folder, f"s{index}", Size(32 + 8 * index, 72 - 8 * index))
    return RegionStore(folder)


def make_manifest():
    """Make three folds of two classes, and an auxiliary slide without label."""
    rows = [
        (f"s{index}", f"p{index}", f"{index}.svs", "ab"[index % 2], "", str(index // 2))
        for index in range(6)
    ]
    rows.append(("s6", "p6", "6.svs", "", "auxiliary", ""))
    columns = ["slide_id", "patient_id", "path", "label", "split", "fold"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def taught(store, tmp_path_factory):
    runs = tmp_path_factory.mktemp("taught") / "runs"
    teach(store, make_manifest(), runs, TeachSettings(fold=0, **QUICK))
    return runs


@pytest.fixture
def runs(taught, tmp_path):
    """Return a copy of the runs in which the teacher of fold 0 is finished."""
    return shutil.copytree(taught, tmp_path / "runs")


def student(**options):
    return DistilSettings(**{"student_mag": STUDENT_MAG, "fold": 0, **QUICK, **options})


def disguise(runs, provenance):
    RunFolder(runs / "teacher-10x-fold0").write_provenance(provenance)


def test_all_folds_are_taught_in_turn_at_the_magnification_asked_for(store, tmp_path):
    made = teach(store, make_manifest(), tmp_path, TeachSettings(mag=STUDENT_MAG, **QUICK))
    assert [run.name for run in made] == [f"baseline-2.5x-fold{fold}" for fold in range(3)]
    for fold, run in enumerate(made):
        about, table = run.read_provenance(), run.read_predictions()
        assert (about.status, about.method, about.fold) == ("complete", "baseline", fold)
        assert list(table.columns) == [*PREDICTION_COLUMNS, "p_0", "p_1"]
        tested = table.loc[table["split"] == "test", "slide_id"].tolist()
        assert tested == [f"s{2 * fold}", f"s{2 * fold + 1}"]
        assert table["width"].tolist() == [
            (32 + 8 * int(slide_id[1:])) // 4 for slide_id in table["slide_id"]
        ]


@pytest.mark.parametrize(
    ("mag", "role", "name"),
    [
        (20.0, None, "teacher-20x"),
        (20.0, "baseline", "baseline-20x"),
        (STUDENT_MAG, None, "baseline-2.5x"),
        (STUDENT_MAG, "teacher", "teacher-2.5x"),
    ],
)
def test_what_is_taught_is_named_by_what_it_is_for(tmp_path, mag, role, name):
    for index in range(6):
        write_slide(tmp_path / "regions", f"s{index}", Size(32, 32), finest=20.0)
    settings = TeachSettings(mag=mag, role=role, fold=0, **{**QUICK, "epochs": 1})
    manifest = make_manifest().iloc[:6]
    (run,) = teach(RegionStore(tmp_path / "regions"), manifest, tmp_path / "runs", settings)
    made = run.read_provenance()
    assert (run.name, made.method) == (f"{name}-fold0", name.partition("-")[0])


def test_a_student_is_held_against_the_teacher_that_it_saw(store, tmp_path):
    manifest = make_manifest().assign(fold="")
    manifest["split"] = ["train", "train", "val", "val", "test", "test", "auxiliary"]
    runs, quick = tmp_path / "runs", {**QUICK, "epochs": 1}
    (teacher,) = teach(store, manifest, runs, TeachSettings(**quick))
    learnt = {"student_mag": STUDENT_MAG, **quick}
    (student,) = distil(store, manifest, runs, DistilSettings(init="teacher-10x", **learnt))
    (tuned,) = finetune(store, manifest, runs, FinetuneSettings(**learnt))
    teach(store, manifest, runs, TeachSettings(name="alt", learning_rate=1e-4, **quick))
    teach(store, manifest, runs, TeachSettings(mag=STUDENT_MAG, **quick))
    named = {"teacher": "teacher-10x", "init": "teacher-10x"}
    assert student.read_provenance().sources == named
    assert tuned.read_provenance().sources == {"student": "student-2.5x"}
    metrics = evaluate_runs(runs, manifest, EvaluateSettings(draws=100))
    assert {
        (one.run, one.reference) for one in metrics.differences if "control" not in one.reference
    } == {
        ("baseline-2.5x", "teacher-10x"),
        ("student-2.5x", "teacher-10x"),
        ("student-2.5x", "baseline-2.5x"),
        ("finetuned-2.5x", "teacher-10x"),
        ("finetuned-2.5x", "baseline-2.5x"),
        ("finetuned-2.5x", "student-2.5x"),
    }
    teacher.model_path().write_bytes(b"other weights")
    notes = evaluate_runs(runs, manifest, EvaluateSettings(draws=100)).notes
    assert "student-2.5x is not compared with its teacher: teacher-10x was made anew since" in notes


@pytest.mark.parametrize("command", ["teach", "distil", "finetune"])
def test_patience_without_validation_is_refused_before_anything_is_trained(
    store, tmp_path, command
):
    manifest = make_manifest().assign(fold="")
    manifest["split"] = [*["train"] * 4, "test", "test", "auxiliary"]
    at = {"student_mag": STUDENT_MAG, "patience": 3, **QUICK}
    carry_out = {
        "teach": lambda: teach(store, manifest, tmp_path, TeachSettings(patience=3, **QUICK)),
        "distil": lambda: distil(store, manifest, tmp_path, DistilSettings(**at)),
        "finetune": lambda: finetune(store, manifest, tmp_path, FinetuneSettings(**at)),
    }
    message = (
        "^manifest: --patience needs validation regions, the split val has none; deal patients to "
        "val with wsikd split, or leave --patience out$"
    )
    with pytest.raises(ConfigError, match=message):
        carry_out[command]()
    assert list(tmp_path.iterdir()) == []


def test_a_student_learns_from_the_teacher_of_its_fold_and_from_auxiliary_slides(store, runs):
    (run,) = distil(store, make_manifest(), runs, student(epochs=1))
    assert run.name == "student-2.5x-fold0"
    (entry,) = run.read_log()
    assert entry["steps"] == 2  # two training regions and an auxiliary one, two at a time
    assert set(entry["train"]) == set(entry["val"]) == {"loss", "soft", "pixel"}
    assert set(run.read_predictions("last")["split"]) == {"val", "test"}


@pytest.mark.parametrize(
    ("learn_from", "splits", "told"),
    [
        ("labelled", {"train"}, "2 regions"),
        ("auxiliary", {"auxiliary"}, "1 region"),
        ("both", {"train", "auxiliary"}, "3 regions"),
    ],
)
def test_a_student_learns_from_the_slides_it_is_told_to(
    store, runs, capsys, learn_from, splits, told
):
    (run,) = distil(store, make_manifest(), runs, student(epochs=1, learn_from=learn_from))
    assert f"learns from {told}, " in capsys.readouterr().err
    learnt = run.read_learnt()
    assert set(learnt.loc[learnt["via"] == "", "split"]) == splits | {"val", "test"}
    assert ("auxiliary" in run.read_provenance().inputs) == ("auxiliary" in splits)


def test_auxiliary_slides_that_are_not_learnt_from_need_not_be_prepared(store, tmp_path):
    write_slide(tmp_path / "regions", "s6", Size(40, 40), finest=5.0)
    for name in ("s0", "s1", "s2", "s3", "s4", "s5"):
        shutil.copytree(store.path / name, tmp_path / "regions" / name)
    other, runs = RegionStore(tmp_path / "regions"), tmp_path / "runs"
    teach(other, make_manifest(), runs, TeachSettings(fold=0, **QUICK))
    with pytest.raises(StoreError, match="s6: 10x was not prepared"):
        distil(other, make_manifest(), runs, student(epochs=1))
    distil(other, make_manifest(), runs, student(epochs=1, learn_from="labelled"))


def test_auxiliary_slides_that_are_not_there_cannot_be_learnt_from(store, runs):
    manifest = make_manifest().query("slide_id != 's6'")
    with pytest.raises(ConfigError, match="--learn-from auxiliary needs auxiliary slides"):
        distil(store, manifest, runs, student(learn_from="auxiliary"))


def test_fine_tuning_changes_the_last_layer_alone(store, runs):
    (before,) = distil(store, make_manifest(), runs, student(epochs=1))
    settings = FinetuneSettings(student_mag=STUDENT_MAG, fold=0, **QUICK)
    (run,) = finetune(store, make_manifest(), runs, settings)
    old, new = (load_file(each.model_path()) for each in (before, run))
    assert {name for name in old if not torch.equal(old[name], new[name])} == {
        "fc.weight",
        "fc.bias",
    }


def test_fine_tuning_leaves_the_statistics_of_batch_normalisation_alone(tmp_path):
    for index in range(7):  # large enough that the coarsest map has more than one pixel
        write_slide(tmp_path / "regions", f"s{index}", Size(256, 192))
    store, runs = RegionStore(tmp_path / "regions"), tmp_path / "runs"
    of_a_teacher = {**QUICK, "model": "resnet10w32-bn", "epochs": 1, "fold": 0, "name": "b"}
    teach(store, make_manifest(), runs, TeachSettings(**of_a_teacher))
    (before,) = distil(store, make_manifest(), runs, student(epochs=1, teacher="b"))
    settings = FinetuneSettings(student_mag=STUDENT_MAG, fold=0, **QUICK)
    (run,) = finetune(store, make_manifest(), runs, settings)
    for checkpoint in ("best", "last"):
        old, new = load_file(before.model_path()), load_file(run.model_path(checkpoint))
        assert any(name.endswith("running_var") for name in old)
        changed = {name for name in old if not torch.equal(old[name], new[name])}
        assert changed == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_stopped_student_ends_with_the_weights_of_an_unbroken_one(
    store, runs, tmp_path, monkeypatch, stop_after
):
    unbroken_runs = shutil.copytree(runs, tmp_path / "unbroken")
    (unbroken,) = distil(store, make_manifest(), unbroken_runs, student())
    take_step, taken = Trainee.take_step, []

    def stop_then_step(self, *args):
        taken.append(args)
        if len(taken) == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(self, *args)

    monkeypatch.setattr(Trainee, "take_step", stop_then_step)
    with pytest.raises(StoppedError):
        distil(store, make_manifest(), runs, student())
    (resumed,) = distil(store, make_manifest(), runs, student())
    for checkpoint in ("best", "last"):
        found, expected = (load_file(run.model_path(checkpoint)) for run in (resumed, unbroken))
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_finished_run_is_left_alone_and_says_so(store, runs, capsys):
    path = RunFolder(runs / "teacher-10x-fold0").model_path()
    before = path.stat().st_mtime_ns
    teach(store, make_manifest(), runs, TeachSettings(fold=0, **QUICK))
    assert path.stat().st_mtime_ns == before
    assert "teacher-10x-fold0: is finished already; nothing to do" in capsys.readouterr().err


def test_a_run_of_other_settings_is_not_taken_up(store, runs):
    with pytest.raises(ResumeError, match=r"was started with learning_rate 0\.001, now asked for"):
        teach(store, make_manifest(), runs, TeachSettings(fold=0, learning_rate=0.1, **QUICK))


def test_a_run_of_another_table_is_not_taken_up(store, runs):
    table = make_manifest()
    table.loc[0, "patient_id"] = "somebody else"
    with pytest.raises(ResumeError, match="splits changed since it was started"):
        teach(store, table, runs, TeachSettings(fold=0, **QUICK))


def test_a_teacher_and_its_student_can_be_trained_with_maps_of_bfloat16(store, tmp_path, capsys):
    how = {"fold": 0, "precision": "bf16", **QUICK}
    (teacher,) = teach(store, make_manifest(), tmp_path, TeachSettings(**how))
    (made,) = distil(store, make_manifest(), tmp_path, student(precision="bf16"))
    said = capsys.readouterr().err
    assert said.count("on cpu; bf16, eager kernels; ") == 2
    for run in (teacher, made):
        model, _ = load_model(run.model_path())
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    (exact,) = teach(
        store,
        make_manifest(),
        tmp_path,
        TeachSettings(**how | {"precision": "fp32", "name": "exact"}),
    )
    inputs = [run.read_provenance().inputs.get("precision") for run in (teacher, made, exact)]
    assert inputs == ["bf16", "bf16", None]
    rounded, float32 = (run.read_log()[-1]["train"]["loss"] for run in (teacher, exact))
    assert rounded != float32
    assert rounded == pytest.approx(float32, rel=0.02)


def test_answers_of_a_teacher_in_another_precision_are_its_own(store, runs, tmp_path):
    how = {"teacher_pass": "cached", "views": 1}
    for precision in ("fp32", "bf16", "fp32"):
        settings = student(precision=precision, seed=len(list(runs.iterdir())), **how)
        (run,) = distil(store, make_manifest(), runs, settings, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "teacher").iterdir())) == 2
    assert "precision" not in run.read_provenance().inputs


def test_a_run_is_not_taken_up_in_another_precision(store, runs):
    with pytest.raises(ResumeError, match="precision"):
        teach(store, make_manifest(), runs, TeachSettings(fold=0, precision="bf16", **QUICK))


def test_regions_whose_feature_map_is_one_pixel_are_counted(tmp_path, capsys):
    sizes = [Size(1, 1), Size(33, 32), Size(32, 32), Size(20, 9), Size(64, 31), Size(70, 2)]
    for index, size in enumerate(sizes):
        write_slide(tmp_path / "regions", f"s{index}", size)
    table = make_manifest().iloc[:6].assign(fold="", split=["train"] * 4 + ["val", "test"])
    store = RegionStore(tmp_path / "regions")
    (run,) = teach(store, table, tmp_path / "runs", TeachSettings(**QUICK))
    assert run.is_complete()
    told = "teacher-10x: note: 3 of 4 regions are at most 32 x 32 pixels at 10x: their feature map"
    assert told + " is one pixel" in capsys.readouterr().err


def test_a_magnification_that_was_not_prepared_is_refused_with_those_that_were(store, runs):
    with pytest.raises(StoreError, match=r"s0: 1\.25x was not prepared, only 10x, 2\.5x; choose"):
        distil(store, make_manifest(), runs, student(student_mag=1.25))


def test_an_auxiliary_slide_need_not_have_what_only_teaching_reads(store, tmp_path):
    folder = shutil.copytree(store.path, tmp_path / "regions")
    record = folder / "s6" / "slide.json"
    record.write_text(record.read_text().replace('"magnification": 10.0', '"magnification": 5.0'))
    coarser, settings = RegionStore(folder), TeachSettings(fold=0, **{**QUICK, "epochs": 1})
    teach(coarser, make_manifest(), tmp_path / "runs", settings)
    with pytest.raises(StoreError, match=r"s6: 10x was not prepared, only 5x, 2\.5x"):
        distil(coarser, make_manifest(), tmp_path / "runs", student())


def test_without_a_teacher_it_names_the_command_that_makes_one(store, tmp_path):
    with pytest.raises(CheckpointError, match="no such run; make it with `wsikd teach --fold 0`"):
        distil(store, make_manifest(), tmp_path, student())


def test_without_a_student_it_names_the_command_with_what_that_cannot_do_without(store, tmp_path):
    how = {"student_mag": STUDENT_MAG, "fold": 0, **QUICK}
    for name, options in ((None, "--fold 0"), ("nope", "--name nope")):
        said = f"no such run; make it with `wsikd distil --student-mag 2.5 {options}`"
        with pytest.raises(CheckpointError, match=re.escape(said)):
            finetune(store, make_manifest(), tmp_path, FinetuneSettings(student=name, **how))


def test_an_unfinished_teacher_is_refused(store, runs):
    teacher = RunFolder(runs / "teacher-10x-fold0")
    unfinished = teacher.read_provenance().model_copy(update={"status": "running"})
    teacher.write_provenance(unfinished)
    with pytest.raises(CheckpointError, match="is not finished; go on with `wsikd teach`"):
        distil(store, make_manifest(), runs, student())


@pytest.mark.parametrize("mag", [10.0, 20.0])  # of which one was prepared
def test_a_student_must_read_less_than_its_teacher(store, runs, mag):
    said = rf"is a teacher at 10x; a student at --student-mag {mag:g} needs a teacher or baseline"
    with pytest.raises(ConfigError, match=said):
        distil(store, make_manifest(), runs, student(student_mag=mag, teacher="teacher-10x"))


@pytest.mark.parametrize("teacher", [None, "nope"])
def test_a_magnification_that_is_missing_is_told_before_a_teacher_that_is(store, tmp_path, teacher):
    with pytest.raises(StoreError, match=r"s0: 1\.25x was not prepared, only 10x, 2\.5x; choose"):
        distil(store, make_manifest(), tmp_path, student(student_mag=1.25, teacher=teacher))


def test_a_student_is_not_learnt_from(store, runs):
    provenance = RunFolder(runs / "teacher-10x-fold0").read_provenance()
    disguise(runs, provenance.model_copy(update={"method": "student"}))
    with pytest.raises(ConfigError, match=r"is a student at 10x; .* above 2\.5x"):
        distil(store, make_manifest(), runs, student())


@pytest.mark.parametrize(
    ("method", "magnification", "kind"),
    [("teacher", STUDENT_MAG, r"a teacher at 2\.5x"), ("student", 10.0, "a student at 10x")],
)
def test_only_a_student_of_the_magnification_asked_for_is_fine_tuned(
    store, runs, method, magnification, kind
):
    provenance = RunFolder(runs / "teacher-10x-fold0").read_provenance()
    changed = {"method": method, "magnification": magnification}
    disguise(runs, provenance.model_copy(update=changed))
    settings = FinetuneSettings(
        student_mag=STUDENT_MAG, student="teacher-10x-fold0", fold=0, **QUICK
    )
    before = set(runs.iterdir())
    with pytest.raises(ConfigError, match=rf"fold0: is {kind}; .* needs a student at 2\.5x"):
        finetune(store, make_manifest(), runs, settings)
    assert set(runs.iterdir()) == before


def test_the_controls_and_pictures_are_made_with_the_run(runs):
    controls = {run.name for run in find_runs(runs) if run.read_provenance().kind.is_control}
    assert controls == {"control-colour-fold0", "control-majority-fold0"}
    pictures = PictureFolder(runs).read()
    assert pictures is not None
    assert all((PictureFolder(runs).path / slide.picture).exists() for slide in pictures.slides)


def test_a_single_class_is_nothing_to_learn(store, tmp_path):
    table = make_manifest()
    table["label"] = table["label"].replace("b", "a")
    with pytest.raises(ManifestError, match="label must have at least 2 classes, has a;"):
        teach(store, table, tmp_path / "runs", TeachSettings(fold=0, **QUICK))
    assert not (tmp_path / "runs").exists()


def test_an_unknown_device_leaves_no_run_behind(store, tmp_path):
    settings = TeachSettings(fold=0, **{**QUICK, "device": "abacus"})
    with pytest.raises(ConfigError, match="device 'abacus' is unknown"):
        teach(store, make_manifest(), tmp_path / "runs", settings)
    assert not (tmp_path / "runs").exists()


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(ValidationError, match=r"should be 'resnet10w32', .*'resnet99'"):
        TeachSettings(model="resnet99")


def test_a_teacher_of_another_fold_is_refused(store, runs):
    with pytest.raises(LeakageError, match="is of fold 0, not 1"):
        distil(store, make_manifest(), runs, student(fold=1, teacher="teacher-10x-fold0"))


def test_a_teacher_of_other_splits_is_refused(store, runs):
    table = make_manifest()
    table["fold"] = table["fold"].replace({"0": "1", "1": "0"})
    with pytest.raises(LeakageError, match="was made with other slides or splits"):
        distil(store, table, runs, student())


def test_a_student_of_another_seed_takes_the_teacher_of_seed_0(store, runs):
    (run,) = distil(store, make_manifest(), runs, student(seed=3, epochs=1))
    assert run.name == "student-2.5x-fold0-seed3"


def test_a_run_can_be_given_a_name_and_be_learnt_from_by_it(store, tmp_path):
    options = {**QUICK, "epochs": 1, "fold": 2}
    (named,) = teach(store, make_manifest(), tmp_path, TeachSettings(name="mine", **options))
    assert named.name == "mine-fold2"
    (run,) = distil(store, make_manifest(), tmp_path, student(fold=2, epochs=1, teacher="mine"))
    assert run.is_complete()


def pretend_pair(runs, model, *, seen):
    """Leave behind what wsikd pair does: an encoder, and which slides it has seen."""
    made = Provenance(name="pair-x", method="pair", magnification=10.0, classes=())
    run = RunFolder(runs / "pair-x").start(TeachSettings(), made)
    description = ModelDescription(
        architecture=model, classes=(), magnification=10, mpp=1, mean=(0, 0, 0), std=(1, 1, 1)
    )
    encoder = build_model(model, 0)
    save_model(encoder, description, run.model_path())
    run.write_learnt(pd.DataFrame({"slide_id": seen, "patient_id": seen}))
    run.finish(seconds=1.0)
    return encoder


def test_a_teacher_starts_from_the_encoder_of_a_pair(store, tmp_path):
    encoder = pretend_pair(tmp_path, "resnet10w32", seen=["x1"])
    nothing_learnt = {"learning_rate": 1e-30}
    settings = TeachSettings(**QUICK, **nothing_learnt, fold=0, init=str(tmp_path / "pair-x"))
    (run,) = teach(store, make_manifest(), tmp_path, settings)
    taught = load_file(run.model_path())
    for name, tensor in encoder.state_dict().items():
        torch.testing.assert_close(taught[name], tensor)
    assert "init" in run.read_provenance().inputs


def test_an_encoder_that_saw_a_test_patient_is_no_start(store, tmp_path):
    tested = splits_of_fold(make_manifest(), 0).query("split == 'test'")["slide_id"].iloc[0]
    pretend_pair(tmp_path, "resnet10w32", seen=[tested])
    with pytest.raises(LeakageError, match=f"pair-x: has seen .* {tested}, which this run is"):
        teach(store, make_manifest(), tmp_path, TeachSettings(**QUICK, fold=0, init="pair-x"))
    assert not (tmp_path / "teacher-10x-fold0").exists()


def test_an_encoder_of_another_architecture_is_no_start(store, tmp_path):
    pretend_pair(tmp_path, "resnet10w32-bn", seen=["x1"])
    with pytest.raises(CheckpointError, match="is a resnet10w32-bn, which is another architecture"):
        teach(store, make_manifest(), tmp_path, TeachSettings(**QUICK, fold=0, init="pair-x"))


def test_a_student_starts_from_no_encoder_of_another_architecture(store, runs):
    pretend_pair(runs, "resnet10w32-bn", seen=["x1"])
    with pytest.raises(CheckpointError, match="pair-x: is a resnet10w32-bn, which is another arc"):
        distil(store, make_manifest(), runs, student(init="pair-x"))


@pytest.mark.parametrize("told", ["teacher", "init", "student"])
def test_a_run_that_knows_other_classes_is_refused_by_name(store, runs, told):
    distil(store, make_manifest(), runs, student(epochs=1))
    name = "student-2.5x-fold0" if told == "student" else "teacher-10x-fold0"
    made = RunFolder(runs / name).read_provenance()
    RunFolder(runs / name).write_provenance(made.model_copy(update={"classes": ("a", "c")}))
    said = f"{name}: knows the classes a, c, the manifest has a, b; make it again"
    start = {
        "teacher": lambda: distil(store, make_manifest(), runs, student(name="other")),
        "init": lambda: teach(
            store, make_manifest(), runs, TeachSettings(fold=0, name="other", init=name, **QUICK)
        ),
        "student": lambda: finetune(
            store, make_manifest(), runs, FinetuneSettings(student_mag=STUDENT_MAG, fold=0, **QUICK)
        ),
    }
    with pytest.raises(CheckpointError, match=said):
        start[told]()


def test_a_training_that_another_process_is_at_is_left_to_it(store, runs):
    run = RunFolder(runs / "teacher-10x-fold0")
    disguise(runs, run.read_provenance().model_copy(update={"status": "running"}))
    settings = TeachSettings(fold=0, **QUICK)
    with run.alone(), pytest.raises(BusyError, match="is writing to it; try"):
        teach(store, make_manifest(), runs, settings)
    assert not run.is_complete()
    (again,) = teach(store, make_manifest(), runs, settings)
    assert again.is_complete()


class TestBalancing:
    """Classes that count alike, however few regions they have."""

    def uneven(self):
        """Make folds 1 and 2 of one region of a and two of b each: fold 0 learns from fold 2."""
        table = make_manifest()
        table.loc[6, ["label", "split", "fold"]] = ["b", "", "2"]
        table.loc[1, "fold"] = "1"
        return table

    def taught(self, store, runs, **options):
        options = {"mag": STUDENT_MAG, "fold": 0, **QUICK, "epochs": 1, **options}
        (run,) = teach(store, self.uneven(), runs, TeachSettings(**options))
        return run

    def losses(self, run, split):
        """The loss of each region under the first weights, which a tiny learning rate leaves."""
        items = read_inputs(self.store, self.uneven(), 0).items[split]
        model, reads = load_model(run.model_path())
        model.eval()
        found = []
        for item in items:
            pixels = self.store.read_pixels(item.slide_id, item.region_id, STUDENT_MAG)
            image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None] / 255
            mean, std = (torch.tensor(v)[:, None, None] for v in (reads.mean, reads.std))
            with torch.no_grad():
                chances = model((image - mean) / std).logits.softmax(1)[0]
            found.append((item.label, -np.log(chances["ab".index(item.label)].item())))
        return found

    @pytest.fixture(autouse=True)
    def _keep(self, store):
        self.store = store

    def test_weights_are_recorded_and_make_the_loss_the_mean_over_classes(self, store, tmp_path):
        still = {"learning_rate": 1e-12, "weight_decay": 0.0, "augment": UNCHANGED}
        run = self.taught(store, tmp_path, class_weights="balanced", **still)
        assert run.read_provenance().class_weights == {"a": 1.5, "b": 0.75}  # one a, two b
        (entry,) = run.read_log()
        for split in ("train", "val"):
            by_class = defaultdict(list)
            for label, loss in self.losses(run, split):
                by_class[label].append(loss)
            expected = np.mean([np.mean(losses) for losses in by_class.values()])
            assert entry[split]["loss"] == pytest.approx(expected, rel=1e-4)
            plain = np.mean([loss for losses in by_class.values() for loss in losses])
            assert plain != pytest.approx(expected, rel=1e-3)

    def test_without_them_nothing_is_recorded(self, store, runs):
        assert RunFolder(runs / "teacher-10x-fold0").read_provenance().class_weights == {}

    def test_balanced_draws_repeat_the_rare_class(self, store, tmp_path, monkeypatch):
        seen = []
        loss = methods.teach.cross_entropy_loss

        def listen(logits, labels, weights):
            seen.append((torch.is_grad_enabled(), labels.item(), weights))
            return loss(logits, labels, weights)

        monkeypatch.setattr(methods.teach, "cross_entropy_loss", listen)
        self.taught(store, tmp_path, sampling="balanced", epochs=2, batch_mpix=0)
        drawn = [label for training, label, _ in seen if training]
        assert len(drawn) == 6  # two epochs of three
        for epoch, labels in ((1, drawn[:3]), (2, drawn[3:])):
            expected = draw_balanced("abb", seed=0, epoch=epoch)
            assert labels == ["abb"[draw % 3] == "b" for draw in expected]
        assert all((weights is None) == training for training, _, weights in seen)

    def test_fine_tuning_takes_them_and_distilling_has_no_labels_to_balance(self, store, runs):
        distil(store, make_manifest(), runs, student(epochs=1))
        options = {"student_mag": STUDENT_MAG, "fold": 0, **QUICK, "epochs": 1}
        (run,) = finetune(
            store, make_manifest(), runs, FinetuneSettings(class_weights="balanced", **options)
        )
        assert run.read_provenance().class_weights == {"a": 1.0, "b": 1.0}
        with pytest.raises(ValidationError, match=r"sampling\n.*not permitted"):
            student(sampling="balanced")

    def test_both_at_once_are_refused(self):
        with pytest.raises(ValidationError, match="both balance the classes; choose one"):
            TeachSettings(class_weights="balanced", sampling="balanced")

    def test_a_run_of_a_version_without_these_settings_is_still_the_same_run(
        self, store, runs, capsys
    ):
        path = RunFolder(runs / "teacher-10x-fold0").settings_path
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(x for x in lines if not x.startswith(("class_w", "sampling"))))
        teach(store, make_manifest(), runs, TeachSettings(fold=0, **QUICK))
        assert "is finished already" in capsys.readouterr().err
        with pytest.raises(
            ResumeError, match=r"started with sampling .*, now asked for 'balanced'"
        ):
            teach(store, make_manifest(), runs, TeachSettings(fold=0, sampling="balanced", **QUICK))


class TestUnlabelledSlides:
    def test_a_teacher_is_taught_as_if_they_were_not_there(self, store, tmp_path):
        table = make_manifest()
        alone = table[table["slide_id"] != "s6"]
        settings = TeachSettings(mag=STUDENT_MAG, fold=0, **QUICK)
        left_out = table.assign(split="")
        made = [
            teach(store, one, tmp_path / name, settings)[0]
            for name, one in (("alone", alone), ("left out", left_out), ("auxiliary", table))
        ]
        assert len({run.read_provenance().inputs["splits"] for run in made}) == 1
        first, *others = (load_file(run.model_path()) for run in made)
        for other in others:
            assert all(torch.equal(first[name], other[name]) for name in first)

    @pytest.mark.parametrize(("fold", "steps"), [(0, 2), (1, 1), (2, 1)])
    def test_a_student_learns_from_them_unless_their_patient_is_tested(
        self, store, tmp_path, fold, steps
    ):
        table = make_manifest()
        table.loc[6, "patient_id"] = "p4"  # of fold 2, which fold 0 trains on, fold 1 validates
        teach(store, table, tmp_path, TeachSettings(fold=fold, **{**QUICK, "epochs": 1}))
        (run,) = distil(store, table, tmp_path, student(fold=fold, epochs=1))
        (entry,) = run.read_log()
        assert entry["steps"] == steps  # two training regions, and the unlabelled one or not

    def test_they_make_nobody_known_to_a_run_that_is_probed(self, store, tmp_path):
        table = make_manifest()
        table.loc[6, ["patient_id", "split"]] = ["p0", ""]  # whom fold 0 tests
        (run,) = teach(
            store, table, tmp_path / "runs", TeachSettings(mag=STUDENT_MAG, fold=0, **QUICK)
        )
        table.to_csv(tmp_path / "slides.csv", index=False)
        (tmp_path / "regions").symlink_to(store.path)
        known = patients_of_labels(run, Workspace(tmp_path))
        assert known == {"p2", "p3", "p4", "p5"}


def test_colours_of_slides_are_kept_beside_the_runs_for_every_seed(store, tmp_path, monkeypatch):
    (first,) = teach(store, make_manifest(), tmp_path / "runs", TeachSettings(fold=0, **QUICK))
    assert (tmp_path / "cache" / "colours" / "10x.json").exists()
    monkeypatch.setattr(colours.ColourSums, "of", None)  # nothing is summed again
    settings = TeachSettings(fold=0, seed=1, **QUICK)
    (second,) = teach(store, make_manifest(), tmp_path / "runs", settings)
    one, other = (load_model(run.model_path())[1] for run in (first, second))
    assert (one.mean, one.std) == (other.mean, other.std)
