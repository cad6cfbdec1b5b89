"""Students of a teacher that is asked once, on a small real store."""

import os
import shutil
import signal

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from tests.integration.test_training_methods import (  # noqa: F401  the fixtures among them
    QUICK,
    _one_thread,
    make_manifest,
    runs,
    store,
    student,
    taught,
    write_slide,
)
from wsikd.cohort.splits import splits_of_fold
from wsikd.data.augment.regions import AugmentSettings
from wsikd.data.augment.views import CountedViews
from wsikd.data.regions import list_items
from wsikd.errors import StoppedError
from wsikd.geometry import Size
from wsikd.methods import asking
from wsikd.methods.distil import distil
from wsikd.methods.teach import TeachSettings, teach
from wsikd.store import RegionStore

LEARNT_FROM = ["s4", "s5", "s6"]  # those of fold 0, the last of them auxiliary
VALIDATED = ["s2", "s3"]


def cached(**options):
    return student(**{"epochs": 3, "teacher_pass": "cached", "views": 2, **options})


def same(one, other, checkpoint="last"):
    found, expected = (load_file(run.model_path(checkpoint)) for run in (one, other))
    return all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.fixture
def looks(monkeypatch):
    """Count how often a teacher looks at a region."""
    seen, ask = [], asking._ask

    def note(asked, questions, item, lacking):
        seen.extend((item.slide_id, list(views)) for views in lacking.values())
        ask(asked, questions, item, lacking)

    monkeypatch.setattr(asking, "_ask", note)
    return seen


def test_it_ends_where_a_teacher_ends_that_looks_at_the_same_views_each_time(
    store, runs, tmp_path, monkeypatch
):
    alone = {"batch_mpix": 0}  # else the teacher's sizes decide what is put together, or ours
    (remembered,) = distil(store, make_manifest(), runs, cached(**alone))
    others = shutil.copytree(runs, tmp_path / "others")
    shutil.rmtree(others / remembered.name)
    items = list_items(store, splits_of_fold(make_manifest(), 0), ("train", "auxiliary"))
    views = CountedViews(AugmentSettings(), 2, [item.name for item in items])
    monkeypatch.setattr("wsikd.methods.train_runs.Augmentation", lambda *_: views)
    (live,) = distil(store, make_manifest(), others, student(epochs=3, **alone))
    assert same(remembered, live)
    assert remembered.read_predictions("last").equals(live.read_predictions("last"))


def test_each_region_is_asked_about_once_whatever_the_seed_and_the_loss(store, runs, looks):
    distil(store, make_manifest(), runs, cached())
    assert looks == [(name, [0, 1]) for name in LEARNT_FROM] + [
        (name, [None]) for name in VALIDATED
    ]
    looks.clear()
    (other,) = distil(store, make_manifest(), runs, cached(seed=1, loss="soft"))
    assert not looks
    assert other.name == "student-2.5x-fold0-seed1"


def test_more_views_are_added_to_those_that_are_known(store, runs, tmp_path, looks):
    distil(store, make_manifest(), runs, cached())
    looks.clear()
    distil(store, make_manifest(), runs, cached(views=3, name="more"))
    assert [name for name, _ in looks] == LEARNT_FROM
    (first, *_) = sorted((tmp_path / "cache" / "teacher").glob("*/s4-*/*.safetensors"))
    assert {name.partition("/")[0] for name in load_file(first)} == {"0", "1", "2"}


@pytest.mark.parametrize(
    "change",
    [{"augment": {"hue": 0.1}}, {"teacher": "other"}],
    ids=["other augmentation", "another teacher"],
)
def test_what_changes_an_answer_is_asked_anew(store, runs, looks, change):
    distil(store, make_manifest(), runs, cached())
    teach(store, make_manifest(), runs, TeachSettings(fold=0, name="other", seed=1, **QUICK))
    looks.clear()
    distil(store, make_manifest(), runs, cached(name="other-student", **change))
    assert [name for name, _ in looks] == LEARNT_FROM + VALIDATED


def test_a_damaged_file_of_answers_is_asked_for_again(store, runs, tmp_path, looks):
    distil(store, make_manifest(), runs, cached(epochs=1))
    (path, *_) = sorted((tmp_path / "cache" / "teacher").glob("*/s5-*/*.safetensors"))
    path.write_bytes(path.read_bytes()[:-9])
    looks.clear()
    distil(store, make_manifest(), runs, cached(epochs=1, name="again"))
    assert looks == [("s5", [0])]


@pytest.mark.parametrize("damage", ["bytes", "names", "folder"])
def test_a_file_that_holds_something_else_is_asked_for_again(store, runs, tmp_path, looks, damage):
    (first,) = distil(store, make_manifest(), runs, cached(epochs=2))
    (path, *_) = sorted((tmp_path / "cache" / "teacher").glob("*/s5-*/*.safetensors"))
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:-4] + b"\x7f\x7f\x7f\x7f")  # the header stays
    elif damage == "names":
        save_file({"foo/logits": torch.zeros(1, 2)}, path)
    else:
        path.unlink()
        path.mkdir()
    looks.clear()
    if damage == "folder":
        with pytest.raises(OSError, match="s5-"):
            distil(store, make_manifest(), runs, cached(epochs=2, name="again"))
        return
    (again,) = distil(store, make_manifest(), runs, cached(epochs=2, name="again"))
    assert looks == [("s5", [0, 1])]
    assert same(first, again)


def test_a_student_that_asks_at_the_same_time_loses_no_answer(store, runs, tmp_path, monkeypatch):
    ask = asking._ask

    def ask_with_another(asked, questions, item, lacking):
        ask(asked, questions, item, {one: [7] for one in lacking})  # of a student with more views
        ask(asked, questions, item, lacking)

    monkeypatch.setattr(asking, "_ask", ask_with_another)
    distil(store, make_manifest(), runs, cached())
    (path, *_) = sorted((tmp_path / "cache" / "teacher").glob("*/s4-*/*.safetensors"))
    assert {name.partition("/")[0] for name in load_file(path)} == {"0", "1", "7"}


def test_only_views_that_are_going_to_be_shown_are_asked_about(store, runs, looks):
    distil(store, make_manifest(), runs, cached(views=8, epochs=2))
    assert [len(views) for _, views in looks] == [2, 2, 2, 1, 1]


def test_views_of_a_teacher_that_looks_anew_are_refused():
    with pytest.raises(ValidationError, match="--views needs --teacher-pass cached"):
        student(views=4)


def test_stopped_while_it_asks_it_goes_on_there(store, runs, tmp_path, looks, monkeypatch):
    unbroken_runs = shutil.copytree(runs, tmp_path / "elsewhere" / "runs")
    (unbroken,) = distil(store, make_manifest(), unbroken_runs, cached())
    looks.clear()
    ask = asking._ask

    def stop_then_ask(asked, questions, item, lacking):
        if item.slide_id == "s5":
            os.kill(os.getpid(), signal.SIGINT)
        ask(asked, questions, item, lacking)

    with monkeypatch.context() as patch:
        patch.setattr(asking, "_ask", stop_then_ask)
        with pytest.raises(StoppedError, match="holds the answers so far; run the same command"):
            distil(store, make_manifest(), runs, cached())
    asked = [name for name, _ in looks]
    (run,) = distil(store, make_manifest(), runs, cached())
    assert [name for name, _ in looks] == [*asked, *(LEARNT_FROM + VALIDATED)[len(asked) :]]
    assert same(run, unbroken)


def test_a_cache_removed_in_between_ends_a_finished_student_no_differently(store, runs, tmp_path):
    (run,) = distil(store, make_manifest(), runs, cached(epochs=1))
    shutil.rmtree(tmp_path / "cache")
    (again,) = distil(store, make_manifest(), runs, cached(epochs=1))
    assert again.name == run.name
    assert not (tmp_path / "cache").exists()


MAGS = (2.5, 1.25)


@pytest.fixture(scope="module")
def deep_store(tmp_path_factory):
    """Return slides at 10x, 2.5x and 1.25x."""
    folder = tmp_path_factory.mktemp("deep-regions")
    for index in range(7):
        size = Size(32 + 8 * index, 72 - 8 * index)
        write_slide(folder, f"s{index}", size, more=[(1.25, 8)])
    return RegionStore(folder)


@pytest.fixture(scope="module")
def deep_taught(deep_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep-taught") / "runs"
    teach(deep_store, make_manifest(), folder, TeachSettings(fold=0, **QUICK))
    return folder


@pytest.mark.parametrize("teacher_pass", ["live", "cached"])
@pytest.mark.parametrize("batch_mpix", [None, 0.0002])  # such as the coarser student's two regions
def test_students_side_by_side_end_as_each_does_alone(
    deep_store, deep_taught, tmp_path, teacher_pass, batch_mpix
):
    options = {"epochs": 3, "teacher_pass": teacher_pass, "batch_mpix": batch_mpix}
    here, elsewhere = (
        shutil.copytree(deep_taught, tmp_path / place / "runs") for place in ("here", "elsewhere")
    )
    each = distil(deep_store, make_manifest(), here, student(student_mag=MAGS, **options))
    assert [run.name for run in each] == ["student-2.5x-fold0", "student-1.25x-fold0"]
    for together, mag in zip(each, MAGS, strict=True):
        one = student(student_mag=mag, **options)
        (alone,) = distil(deep_store, make_manifest(), elsewhere, one)
        assert together.read_settings() == alone.read_settings()
        assert all(same(together, alone, checkpoint) for checkpoint in ("best", "last"))
        assert together.read_predictions().equals(alone.read_predictions())


def test_a_teacher_is_asked_once_for_all_students(deep_store, deep_taught, tmp_path, monkeypatch):
    looked, look = [], asking.Asked.look

    def note(self, pixels, draw):
        looked.append(draw)
        return look(self, pixels, draw)

    monkeypatch.setattr(asking.Asked, "look", note)
    runs = shutil.copytree(deep_taught, tmp_path / "runs")
    distil(deep_store, make_manifest(), runs, cached(student_mag=MAGS))
    assert len(looked) == 2 * len(LEARNT_FROM) + len(VALIDATED)
