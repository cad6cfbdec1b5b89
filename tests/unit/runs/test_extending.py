import hashlib

import pytest

from wsikd.config import Settings, load
from wsikd.errors import BusyError, CheckpointError, ResumeError
from wsikd.runs import PREDICTION_COLUMNS, Provenance, RunFolder

GROWS = {"epochs", "patience"}


class Training(Settings):
    epochs: int = 100
    patience: int | None = 10
    learning_rate: float = 0.1


def provenance(name="teacher-10x", **changes):
    return Provenance(**{"name": name, "method": "teacher", "classes": ("a", "b"), **changes})


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "runs" / "teacher-10x").start(Training(), provenance())


@pytest.fixture
def finished(run):
    """Return a run that is finished, with state, models and predictions."""
    run.state_path.mkdir()
    (run.state_path / "training.pt").write_bytes(b"state")
    for checkpoint in ("best", "last"):
        run.model_path(checkpoint).write_bytes(b"weights of the " + checkpoint.encode())
        run.predictions_path(checkpoint).write_text(",".join(PREDICTION_COLUMNS) + "\n")
    run.finish(seconds=60.0)
    return run


def extend(run, **changes):
    return run.start(Training(**changes), provenance(), may_grow=GROWS)


def start_another(run, name, **made):
    return RunFolder(run.path.parent / name).start(Training(), provenance(name, **made))


def test_a_finished_run_that_is_asked_for_more_goes_on(finished):
    before = finished.read_provenance()
    extend(finished, epochs=150)
    assert not finished.is_complete()
    assert finished.read_settings() == {"epochs": 150, "patience": 10, "learning_rate": 0.1}
    unfinished = {"status": "running", "finished": None, "seconds": None}
    assert finished.read_provenance() == before.model_copy(update=unfinished)


def test_what_goes_on_keeps_its_state_and_models_and_drops_its_predictions(finished):
    extend(finished, epochs=150)
    names = {path.name for path in finished.path.iterdir() if path.name[0] != "."}
    kept = {"model.safetensors", "model-last.safetensors", "state", "settings.yaml", "run.json"}
    assert names == kept
    assert [path.name for path in finished.state_path.iterdir()] == ["training.pt"]


def test_a_run_that_goes_on_is_then_the_run_of_its_new_settings(finished):
    extend(finished, epochs=150)
    assert load(finished.settings_path, Training) == Training(epochs=150)
    extend(finished, epochs=150)
    with pytest.raises(ResumeError, match="was started with epochs 150, now asked for 100"):
        extend(finished)


def test_a_stopped_run_may_grow_whether_it_has_a_state_or_not(run):
    assert extend(run, epochs=150).read_settings()["epochs"] == 150


@pytest.mark.parametrize("patience", [11, None])
def test_patience_grows_with_its_number_and_is_longest_without_one(finished, patience):
    assert extend(finished, patience=patience).read_settings()["patience"] == patience


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"epochs": 99}, "epochs 100, now asked for 99"),
        ({"patience": 9}, "patience 10, now asked for 9"),
        ({"epochs": 150, "patience": 9}, "patience 10, now asked for 9"),
        ({"epochs": 150, "learning_rate": 0.2}, "learning_rate 0.1, now asked for 0.2"),
    ],
)
def test_what_shrinks_or_is_something_else_is_refused_and_nothing_changed(
    finished, changes, difference
):
    with pytest.raises(ResumeError) as refusal:
        extend(finished, **changes)
    assert str(refusal.value) == (
        f"{finished.path}: was started with {difference}; "
        "remove the folder to start anew, or name another run with --name"
    )
    assert finished.is_complete()
    assert finished.predictions_path().exists()
    assert finished.read_settings()["epochs"] == 100


def test_a_limit_of_patience_is_no_growth_where_there_was_none(tmp_path):
    unlimited = Training(patience=None)
    run = RunFolder(tmp_path / "teacher-10x").start(unlimited, provenance())
    with pytest.raises(ResumeError, match="patience None, now asked for 10"):
        extend(run)


def test_other_inputs_are_refused_also_where_settings_grew(finished):
    other = provenance(inputs={"splits": "1"})
    with pytest.raises(ResumeError, match="splits changed since it was started"):
        finished.start(Training(epochs=150), other, may_grow=GROWS)
    assert finished.is_complete()


def test_settings_do_not_grow_unless_it_is_said_that_they_may(finished):
    with pytest.raises(ResumeError, match="was started with epochs 100, now asked for 150"):
        finished.start(Training(epochs=150), provenance())


@pytest.mark.parametrize("checkpoint", ["best", "last", None])
def test_a_run_that_another_started_from_stays_as_it_is(finished, checkpoint):
    if checkpoint is None:  # as of today
        made = {"sources": {"teacher": "teacher-10x"}}
    else:  # older runs have the digest alone
        content = finished.model_path(checkpoint).read_bytes()
        made = {"inputs": {"teacher": hashlib.sha256(content).hexdigest()}}
    start_another(finished, "student-1.25x", **made)
    with pytest.raises(ResumeError) as refusal:
        extend(finished, epochs=150)
    assert str(refusal.value) == (
        f"{finished.path}: epochs must stay 100, as student-1.25x was started from it, "
        "now asked for 150; name another run with --name"
    )
    assert finished.is_complete()
    assert finished.predictions_path().exists()


def test_runs_of_other_origins_are_no_hindrance(finished):
    start_another(finished, "student-1.25x", sources={"teacher": "teacher-20x"})
    start_another(finished, "student-2.5x", inputs={"teacher": "0" * 64})
    assert not extend(finished, epochs=150).is_complete()


def test_a_finished_run_whose_state_is_gone_is_refused(finished):
    (finished.state_path / "training.pt").unlink()
    (finished.state_path / ".training.pt.17.partial").write_bytes(b"of a crash")
    with pytest.raises(ResumeError) as refusal:
        extend(finished, patience=20)
    assert str(refusal.value) == (
        f"{finished.path}: patience must stay 10, as it is finished and {finished.state_path} "
        "is gone, now asked for 20; name another run with --name"
    )


def test_a_damaged_record_of_another_run_is_named_as_nothing_is_known_of_it(finished):
    other = start_another(finished, "student-1.25x")
    (other.path / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"student-1\.25x.run\.json: must be JSON"):
        extend(finished, epochs=150)


def test_a_run_that_is_being_written_to_does_not_grow(finished):
    with finished.alone(), pytest.raises(BusyError, match="is writing to it"):
        extend(finished, epochs=150)
    assert finished.is_complete()


def test_after_a_crash_half_way_the_same_call_does_the_rest(finished, monkeypatch):
    def crash(*_args):
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(RunFolder, "_write_settings", crash)
        with pytest.raises(OSError, match="the disk is full"):
            extend(finished, epochs=150)
    assert extend(finished, epochs=150).read_settings()["epochs"] == 150
    assert not finished.is_complete()
