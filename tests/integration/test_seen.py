"""Who has seen whom: what runs record, start from, and are evaluated beside."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from shapely import box

from tests.builders import slide_record
from wsikd.config import Settings
from wsikd.data.pairs import open_views
from wsikd.data.patches import open_patches
from wsikd.errors import CheckpointError, LeakageError
from wsikd.evaluation import EvaluateSettings, evaluate_runs
from wsikd.evaluation.folds import pool_runs
from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.methods.controls import refresh_controls
from wsikd.methods.distil import distil
from wsikd.methods.distil_settings import DistilSettings
from wsikd.methods.finetune import FinetuneSettings, finetune
from wsikd.methods.pair import pair
from wsikd.methods.pair_settings import PairSettings
from wsikd.methods.region_inputs import read_inputs
from wsikd.methods.seen import look_back
from wsikd.methods.teach import TeachSettings, teach
from wsikd.runs import Provenance, RunFolder, find_runs
from wsikd.store import RegionStore, SlideWriter, Source
from wsikd.store.labels import LabelFrame, LabelLevel, LabelWriter, labels_path
from wsikd.tissue import to_geojson
from wsikd.workspace import Workspace

SIZE = Size(48, 40)  # of every region at 10x; at 2.5x a quarter
QUICK = {"epochs": 1, "accumulate": 2, "device": "cpu"}
PLACES = {"s0": "test", "s1": "test", "s2": "val", "s3": "val", "s6": "auxiliary"}


def picture(number):
    """Draw soft blots, so that a picture compressed again looks much as before."""
    drawn = np.random.default_rng(number).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(drawn).resize(SIZE, Image.Resampling.BICUBIC))


def write_slide(folder, slide_id, *, number=None, content=None):
    number = int(slide_id[1:]) if number is None else number
    fine = picture(number)
    levels = [
        PyramidLevel(magnification, Size(SIZE.width // side, SIZE.height // side), Mpp(side, side))
        for magnification, side in ((10.0, 1), (2.5, 4))
    ]
    writer = SlideWriter(folder, slide_id)
    tissue = TissueRegion(0, Region(0, 0, SIZE), box(0, 0, *SIZE))
    region = writer.write_region(tissue, Mpp(1, 1), levels, [(0, fine), (1, fine[::4, ::4])])
    source = Source(name=f"{slide_id}.svs", bytes=1, sha256=content or f"file-{number}")
    record = slide_record(slide_id, (region,), tuple(SIZE), (1, 1), source=source)
    writer.commit(record, to_geojson([tissue], Mpp(1, 1)), fine)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    for number in range(8):
        write_slide(folder, f"s{number}")
    return folder


@pytest.fixture
def store(prepared, tmp_path):
    return RegionStore(shutil.copytree(prepared, tmp_path / "regions"))


@pytest.fixture
def manifest():
    """Slides s0 to s7 of a patient each: two tested, two to validate, one auxiliary."""
    names = [f"s{number}" for number in range(8)]
    table = pd.DataFrame({"slide_id": names, "path": [f"{name}.svs" for name in names]})
    return table.assign(
        patient_id=[f"p{name[1:]}" for name in names],
        label=["ab"[number % 2] for number in range(8)],
        split=[PLACES.get(name, "train") for name in names],
        fold="",
    )


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def cut(folder, numbers, *, suffix=".png", change=lambda image: image):
    """Save the regions of slides as pictures that are called tile-0, tile-1, …."""
    folder.mkdir()
    for place, number in enumerate(numbers):
        change(Image.fromarray(picture(number))).save(folder / f"tile-{place}{suffix}")
    return folder


def train_pair(runs, images, **options):
    quick = {"expander": (8,), "batch": 2, "epochs": 1, "device": "cpu", "name": "pair-x"}
    settings = PairSettings(images=images, mag=10, **quick, **{"pairing": "symmetric", **options})
    place = Workspace(runs.parent)
    source = open_patches(settings, place)
    (run,) = pair(source, open_views(settings, source), place.cache, runs, settings)
    return run


def evaluate(runs, store, manifest):
    notes = refresh_controls(runs, store, manifest, EvaluateSettings().control)
    return evaluate_runs(runs, manifest, EvaluateSettings(draws=100), notes=notes)


def test_every_run_records_whom_it_and_its_ancestors_have_seen(store, manifest, runs):
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    recorded = teacher.read_learnt()
    assert dict(zip(recorded["slide_id"], recorded["split"], strict=True)) == {
        name: split
        for name, split in zip(manifest["slide_id"], manifest["split"], strict=True)
        if split != "auxiliary"
    }
    assert recorded["content"].tolist() == [f"file-{name[1:]}" for name in recorded["slide_id"]]
    distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))
    (tuned,) = finetune(store, manifest, runs, FinetuneSettings(student_mag=2.5, **QUICK))
    rows = tuned.read_learnt()
    assert set(rows["via"]) == {"", "student-2.5x", "teacher-10x"}
    (auxiliary,) = rows[rows["split"] == "auxiliary"].to_dict("records")
    assert (auxiliary["slide_id"], auxiliary["via"]) == ("s6", "student-2.5x")
    assert set(rows.loc[rows["split"] == "test", "via"]) == {""}


def test_tiles_of_unknown_patients_start_nothing_that_is_tested(store, manifest, runs, tmp_path):
    train_pair(runs, cut(tmp_path / "tiles", [0, 1, 10]))
    with pytest.raises(LeakageError) as refusal:
        teach(store, manifest, runs, TeachSettings(init="pair-x", **QUICK))
    assert refusal.value.exit_status == 5
    assert str(refusal.value) == (
        f"{runs / 'pair-x'}: 3 images learnt from cannot be traced to a patient, the first is "
        "tile-0; train it with a --table of their patients, or vouch with --unrelated that they "
        "show none of those validated or tested on"
    )
    assert not (runs / "teacher-10x").exists()


def test_one_image_of_an_unknown_patient_is_one(store, manifest, runs):
    run = RunFolder(runs / "pair-x")
    run.start(Settings(), Provenance(name="pair-x", method="pair", classes=()))
    run.write_learnt(pd.DataFrame({"slide_id": ["x"], "patient_id": "x", "traced": "no"}))
    inputs = read_inputs(store, manifest, None)
    with pytest.raises(LeakageError, match="pair-x: 1 image learnt from cannot be traced to a "):
        look_back([run], inputs, unrelated=False)
    (note,) = look_back([run], inputs, unrelated=True).notes
    assert note.startswith("1 image that pair-x has learnt from cannot be traced to a patient; ")


def in_folds(manifest):
    """Deal the slides s4, s5 and s7 to fold 2, which fold 0 trains on and the others do not."""
    folds = ["0", "0", "1", "1", "2", "2", "", "2"]
    return manifest.assign(fold=folds, split=["auxiliary" if fold == "" else "" for fold in folds])


def test_a_leak_in_any_fold_is_found_before_the_first_is_trained(store, manifest, runs, tmp_path):
    train_pair(runs, cut(tmp_path / "tiles", [10, 4]))
    settings = TeachSettings(init="pair-x", unrelated=True, **QUICK)
    with pytest.raises(LeakageError, match="has seen the pixels of s4/region-000 under the name "):
        teach(store, in_folds(manifest), runs, settings)
    assert [run.name for run in find_runs(runs)] == ["pair-x"]
    alone = settings.model_copy(update={"fold": 0})
    assert teach(store, in_folds(manifest), runs, alone)[0].is_complete()


def test_a_teacher_missing_in_any_fold_is_told_before_the_first_is_trained(store, manifest, runs):
    teach(store, in_folds(manifest), runs, TeachSettings(fold=0, **QUICK))
    with pytest.raises(
        CheckpointError, match="10x-fold1: no such run; make it with `wsikd teach --fold 1`"
    ):
        distil(store, in_folds(manifest), runs, DistilSettings(student_mag=2.5, **QUICK))
    assert not list(runs.glob("student-*"))


def test_a_missing_run_to_start_from_is_told_with_the_commands_that_make_one(store, manifest, runs):
    with pytest.raises(CheckpointError) as refusal:
        teach(store, manifest, runs, TeachSettings(init="zzz", **QUICK))
    assert str(refusal.value) == (
        f"{runs / 'zzz'}: no such run; make it with `wsikd pair --name zzz` or "
        "`wsikd teach --name zzz`"
    )


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("tested", [0, 3])
def test_nobody_can_vouch_for_pixels_that_are_tested(
    store, manifest, runs, tmp_path, suffix, tested
):
    train_pair(runs, cut(tmp_path / "tiles", [10, tested], suffix=suffix))
    said = rf"pair-x: has seen the pixels of s{tested}/region-000 under the name tile-1, which"
    with pytest.raises(LeakageError, match=said):
        teach(store, manifest, runs, TeachSettings(init="pair-x", unrelated=True, **QUICK))


def test_nobody_can_vouch_for_a_picture_that_was_prepared_as_a_slide(
    prepared, manifest, runs, tmp_path
):
    tiles = cut(tmp_path / "tiles", [10, 11])
    learnt = train_pair(runs, tiles).read_learnt()
    folder = shutil.copytree(prepared, tmp_path / "regions")
    shutil.rmtree(folder / "s1")
    write_slide(folder, "s1", content=learnt["content"].iloc[1])
    settings = TeachSettings(init="pair-x", unrelated=True, **QUICK)
    with pytest.raises(LeakageError, match="has seen the file of s1 under the name tile-1"):
        teach(RegionStore(folder), manifest, runs, settings)


def test_masks_of_a_segmenter_are_from_what_it_has_seen(store, manifest, runs, tmp_path):
    segmenter = RunFolder(runs / "segment")
    made = Provenance(name="segment", method="segment", classes=())
    segmenter.start(Settings(), made).finish(seconds=0.0)
    seen = {"slide_id": ["s1"], "patient_id": ["p1"], "split": "train", "traced": "yes"}
    segmenter.write_learnt(pd.DataFrame(seen))
    tiles = cut(tmp_path / "tiles", [10, 11])
    for name in ("tile-0", "tile-1"):
        path = labels_path(segmenter.path / "labels", name, "image")
        frame, level = LabelFrame(Region(0, 0, SIZE), None), LabelLevel(SIZE, None, None)
        with LabelWriter(path, frame, [level]) as writer:
            writer.push(np.eye(SIZE.height, SIZE.width, dtype=np.uint8))
    train_pair(runs, tiles, pairing="mask", partner=segmenter.path)
    settings = TeachSettings(init="pair-x", unrelated=True, **QUICK)
    with pytest.raises(LeakageError, match="pair-x: has seen slide s1 through segment, which"):
        teach(store, manifest, runs, settings)


def test_what_is_vouched_for_is_told_with_the_numbers(store, manifest, runs, tmp_path):
    train_pair(runs, cut(tmp_path / "tiles", [10, 11]))
    settings = TeachSettings(init="pair-x", unrelated=True, **QUICK)
    (teacher,) = teach(store, manifest, runs, settings)
    assert teacher.read_settings()["unrelated"]
    told = (
        "2 images that {} has learnt from cannot be traced to a patient; --unrelated vouches that "
        "they show none of those validated or tested on"
    )
    assert teacher.read_provenance().notes == (told.format("pair-x"),)
    distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))
    notes = evaluate(runs, store, manifest).notes
    assert notes == (
        f"teacher-10x: {told.format('pair-x')}",
        f"student-2.5x: {told.format('teacher-10x')}",
    )


@pytest.mark.parametrize(("patients", "seen"), [(("x1", "x2"), None), (("x1", "p1"), "p1")])
def test_images_with_patients_are_compared_by_them(store, manifest, runs, tmp_path, patients, seen):
    tiles = cut(tmp_path / "tiles", [10, 11])
    rows = [f"tile-{place}.png,{patient}" for place, patient in enumerate(patients)]
    (tiles / "table.csv").write_text("\n".join(["path,patient_id", *rows]))
    train_pair(runs, tiles, table=tiles / "table.csv")
    settings = TeachSettings(init="pair-x", **QUICK)
    if seen is None:
        (run,) = teach(store, manifest, runs, settings)
        assert run.read_provenance().notes == ()
    else:
        with pytest.raises(LeakageError, match=f"has seen patient {seen}, which this run is"):
            teach(store, manifest, runs, settings)


def test_images_that_look_much_like_tested_regions_are_told_of(store, manifest, runs, tmp_path):
    def brighten(image):
        return image.point(lambda value: min(255, value + 9))

    train_pair(runs, cut(tmp_path / "tiles", [10, 1], change=brighten))
    settings = TeachSettings(init="pair-x", unrelated=True, **QUICK)
    (run,) = teach(store, manifest, runs, settings)
    assert run.read_provenance().notes[1] == (
        "1 of the 4 regions validated or tested on look much like images that pair-x has learnt "
        "from, the first is s1/region-000, like tile-1"
    )


def test_a_teacher_of_another_workspace_that_saw_a_tested_file_is_refused(
    store, manifest, runs, tmp_path
):
    for number in range(8):  # the same names, and s4 there is s0 here
        write_slide(tmp_path / "there", f"s{number}", number={4: 0, 0: 4}.get(number))
    (teacher,) = teach(RegionStore(tmp_path / "there"), manifest, runs, TeachSettings(**QUICK))
    with pytest.raises(LeakageError, match="10x: has seen the file of s0 under the name s4, which"):
        distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))
    assert teacher.is_complete()


def test_a_run_started_from_one_that_saw_the_tested_is_refused_too(store, manifest, runs):
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    seen = teacher.read_learnt()
    tested = seen[seen["slide_id"] == "s0"]
    through = tested.assign(split="train", slide_id="x", patient_id="x", via="pair-y")
    teacher.write_learnt(pd.concat([seen, through]))
    with pytest.raises(LeakageError, match="the file of s0 under the name x through pair-y, which"):
        distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))


def test_an_older_run_without_a_record_is_learnt_from_as_before(store, manifest, runs):
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    (teacher.path / "learnt.csv").unlink()
    settings = teacher.settings_path.read_text().replace("unrelated: false\n", "")
    teacher.settings_path.write_text(settings)
    teach(store, manifest, runs, TeachSettings(**QUICK))  # is finished already
    distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))
    assert evaluate(runs, store, manifest).notes == ()
    manifest.loc[7, "label"] = "a"  # of a training slide
    metrics = evaluate(runs, store, manifest)
    assert "student-2.5x was trained on other splits" in metrics.left_out[0].reason
    assert metrics.notes[0] == (
        "teacher-10x: an older version made it, which did not record the slides it learnt from; "
        "whether the manifest has them in the same split, with the same patient and label, is not "
        "known"
    )


def forget_the_slides(run):
    (run.path / "learnt.csv").unlink()


def test_an_older_run_that_may_have_learnt_from_the_tested_is_left_out(store, manifest, runs):
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    forget_the_slides(teacher)
    manifest.loc[5, "split"] = "test"
    teach(store, manifest, runs, TeachSettings(name="again", **QUICK))
    metrics = evaluate(runs, store, manifest)
    (left_out,) = metrics.left_out
    assert left_out.reason == (
        "teacher-10x is of an older version, which recorded no slides, and its splits are not "
        "surely the manifest's; it may have learnt from slide s5, which is in test now; remove its "
        "folder and train it again"
    )
    assert metrics.notes == ()


def test_an_older_student_whose_auxiliary_slide_is_tested_is_left_out(store, manifest, runs):
    teach(store, manifest, runs, TeachSettings(**QUICK))
    forget_the_slides(distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))[0])
    assert evaluate(runs, store, manifest).left_out == ()
    manifest.loc[6, "split"] = "test"
    (left_out,) = evaluate(runs, store, manifest).left_out
    assert "student-2.5x is of an older version, " in left_out.reason
    assert "learnt from slide s6, which is in test now" in left_out.reason


def test_an_older_run_stays_when_new_slides_are_tested(store, manifest, runs):
    write_slide(store.path, "s9")
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    forget_the_slides(teacher)
    new = {"slide_id": "s9", "path": "9.svs", "patient_id": "p9", "label": "a", "split": "test"}
    manifest.loc[8] = {**new, "fold": ""}
    metrics = evaluate(runs, store, manifest)
    assert metrics.left_out == ()
    (note,) = metrics.notes
    assert note == (
        "teacher-10x: not tested on 1 of the slides that the manifest has in test, the first is "
        "s9; they took no part in it then"
    )


def test_an_older_run_stays_where_training_and_tested_slides_could_not_be_prepared(
    store, manifest, runs
):
    for name in ("s1", "s7"):
        shutil.rmtree(store.path / name)
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    forget_the_slides(teacher)
    teach(store, manifest, runs, TeachSettings(name="again", **QUICK))
    metrics = evaluate(runs, store, manifest)
    assert metrics.left_out == ()
    assert any("teacher-10x" in note and "not tested on 1 of " in note for note in metrics.notes)
    assert not any("an older version made it" in note for note in metrics.notes)


def test_controls_of_other_splits_are_left_out_like_any_run(store, manifest, runs):
    teach(store, manifest, runs, TeachSettings(**QUICK))
    manifest.loc[5, "split"] = "test"
    pooled, left_out = pool_runs(runs, manifest, checkpoint="best", split="test")
    assert pooled == []
    assert set(left_out) == {"teacher-10x", "control-colour", "control-majority"}
    assert all("as of slide s5;" in reason for reason in left_out.values())


@pytest.mark.parametrize("change", [("split", "test"), ("patient_id", "p9"), ("label", "a")])
def test_a_run_whose_training_slides_have_changed_is_left_out_by_name(
    store, manifest, runs, change
):
    teach(store, manifest, runs, TeachSettings(**QUICK))
    manifest.loc[5, change[0]] = change[1]
    teach(store, manifest, runs, TeachSettings(name="again", **QUICK))
    metrics = evaluate(runs, store, manifest)
    assert [run.name for run in metrics.runs if not run.kind.is_control] == ["again"]
    (left_out,) = metrics.left_out
    assert left_out.name == "teacher-10x"
    assert left_out.reason == (
        "teacher-10x was trained on other splits, patients or labels than the manifest's, as of "
        "slide s5; remove its folder and train it again"
    )


def test_a_student_is_left_out_once_its_auxiliary_slide_is_tested(store, manifest, runs):
    teach(store, manifest, runs, TeachSettings(**QUICK))
    distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))
    manifest.loc[6, "split"] = "test"
    metrics = evaluate(runs, store, manifest)
    assert [(one.name, "slide s6" in one.reason) for one in metrics.left_out] == [
        ("student-2.5x", True)
    ]
    (note,) = metrics.notes
    assert note == (
        "teacher-10x: not tested on 1 of the slides that the manifest has in test, the first is "
        "s6; they took no part in it then"
    )


def test_a_student_is_left_out_once_another_slide_of_its_auxiliary_patient_is_tested(
    store, manifest, runs
):
    teach(store, manifest, runs, TeachSettings(**QUICK))
    distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))
    manifest.loc[8] = {**manifest.loc[6], "slide_id": "s9", "path": "9.svs", "split": "test"}
    _, left_out = pool_runs(runs, manifest, checkpoint="best", split="test")
    assert left_out["student-2.5x"] == (
        "student-2.5x has seen patient p6, which the manifest has in test now; remove the folder "
        "of what has seen it and train it again"
    )


def test_a_run_is_left_out_once_what_it_started_from_has_seen_the_tested(store, manifest, runs):
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    seen = teacher.read_learnt()
    through = seen.iloc[[0]].assign(split="train", slide_id="x", patient_id="p1", via="pair-y")
    teacher.write_learnt(pd.concat([seen, through]))
    teach(store, manifest, runs, TeachSettings(name="again", **QUICK))
    (left_out,) = evaluate(runs, store, manifest).left_out
    assert left_out.reason == (
        "teacher-10x has seen patient p1 through pair-y, which the manifest has in test now; "
        "remove the folder of what has seen it and train it again"
    )


def test_slides_prepared_after_a_run_are_told_of(store, manifest, runs):
    few = RegionStore(shutil.copytree(store.path, runs.parent / "few"))
    shutil.rmtree(few.path / "s7")
    teach(few, manifest, runs, TeachSettings(**QUICK))
    teach(store, manifest, runs, TeachSettings(name="later", **QUICK))
    (note,) = evaluate(runs, store, manifest).notes
    assert note == (
        "teacher-10x: not made with 1 of the slides that the manifest has in train or val, the "
        "first is s7; they took no part in it then"
    )


def test_a_copy_of_a_tested_slide_is_refused_though_it_were_left_out(store, manifest, runs):
    write_slide(store.path, "s9", content="file-0", number=0)
    copy = {"slide_id": "s9", "path": "9.svs", "split": "auxiliary", "label": "", "fold": ""}
    manifest.loc[8] = {**manifest.loc[0], **copy}
    message = "slides s0 and s9 are copies of one file, in split test and auxiliary; keep one"
    with pytest.raises(LeakageError, match=message):
        teach(store, manifest, runs, TeachSettings(**QUICK))


@pytest.mark.parametrize("split", ["train", "val", "auxiliary"])
def test_a_copy_of_a_tested_slide_is_in_no_other_split(store, manifest, runs, split):
    write_slide(store.path, "s9", content="file-0", number=0)
    copy = {"slide_id": "s9", "path": "9.svs", "patient_id": "p9", "label": "a", "split": split}
    manifest.loc[8] = {**copy, "fold": ""}
    with pytest.raises(LeakageError, match="slides s0 and s9 are copies of one file, in patient_"):
        teach(store, manifest, runs, TeachSettings(**QUICK))
    assert not runs.exists()
    assert RunFolder(runs / "teacher-10x").has_learnt() is False


def add_copy(store, manifest, *, number, content):
    """Add a training slide s9 of a patient of its own."""
    write_slide(store.path, "s9", number=number, content=content)
    row = {"slide_id": "s9", "path": "9.svs", "patient_id": "p9", "label": "a", "split": "train"}
    manifest.loc[8] = {**row, "fold": ""}


def test_equal_pixels_are_one_slide_in_another_file(store, manifest, runs):
    add_copy(store, manifest, number=0, content="rewritten")
    with pytest.raises(LeakageError) as refusal:
        teach(store, manifest, runs, TeachSettings(**QUICK))
    assert str(refusal.value) == (
        "manifest: slides s0 and s9 have the same pixels, in patient_id p0 and p9; keep one of "
        "them, or give both one patient and one split"
    )


def test_other_pixels_are_another_slide_though_the_ends_of_the_files_are_equal(
    store, manifest, runs
):
    add_copy(store, manifest, number=9, content="file-0")
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))
    seen = teacher.read_learnt().set_index("slide_id")
    assert seen.at["s0", "content"] == seen.at["s9", "content"]
    assert seen.at["s0", "pixels"] != seen.at["s9", "pixels"]


def test_a_teacher_of_another_workspace_that_saw_tested_pixels_in_another_file_is_refused(
    store, manifest, runs, tmp_path
):
    for number in range(8):  # s4 there shows what s0 does here
        place = {4: 0, 0: 4}.get(number, number)
        write_slide(tmp_path / "there", f"s{number}", number=place, content=f"there-{number}")
    teach(RegionStore(tmp_path / "there"), manifest, runs, TeachSettings(**QUICK))
    with pytest.raises(LeakageError, match="has seen the pixels of s0 under the name s4, which"):
        distil(store, manifest, runs, DistilSettings(student_mag=2.5, **QUICK))


def test_slides_of_older_records_are_compared_by_the_pixels_in_the_store(store, manifest, runs):
    add_copy(store, manifest, number=0, content="rewritten")
    for path in store.path.glob("*/slide.json"):
        record = json.loads(path.read_text())
        del record["pixels"]
        path.write_text(json.dumps(record))
    with pytest.raises(LeakageError, match="slides s0 and s9 have the same pixels, in patient_id"):
        teach(store, manifest, runs, TeachSettings(**QUICK))


def test_controls_record_what_tells_their_slides(store, manifest, runs):
    (teacher,) = teach(store, manifest, runs, TeachSettings(**QUICK))
    columns = ["slide_id", "content", "pixels"]
    expected = teacher.read_learnt()[columns].sort_values("slide_id").to_numpy().tolist()
    for name in ("control-majority", "control-colour"):
        learnt = RunFolder(runs / name).read_learnt()
        assert learnt[columns].sort_values("slide_id").to_numpy().tolist() == expected


def test_controls_do_not_learn_from_a_copy_of_what_is_tested(store, manifest, runs):
    teach(store, manifest, runs, TeachSettings(**QUICK))
    assert (runs / "control-colour").exists()
    add_copy(store, manifest, number=0, content="rewritten")
    metrics = evaluate(runs, store, manifest)
    assert [run.name for run in metrics.runs] == ["teacher-10x"]
    assert metrics.notes[0] == (
        "the controls were not made: manifest: slides s0 and s9 have the same pixels, in "
        "patient_id p0 and p9; keep one of them, or give both one patient and one split"
    )
