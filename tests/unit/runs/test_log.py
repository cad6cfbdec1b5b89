import pytest

from wsikd.runs import RunFolder


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path)
    for epoch, loss in ((1, 0.9), (2, 0.8), (3, 0.7), (2, 0.75)):
        run.log({"epoch": epoch, "train": {"loss": loss}})
    return run


def test_what_is_forgotten_is_gone_and_the_rest_stays(run):
    run.forget_after(2)
    text = (run.path / "log.jsonl").read_text()
    assert text == ('{"epoch": 1, "train": {"loss": 0.9}}\n{"epoch": 2, "train": {"loss": 0.75}}\n')
    run.log({"epoch": 3})
    assert [entry["epoch"] for entry in run.read_log()] == [1, 2, 3]


def test_a_run_that_goes_on_from_its_beginning_forgets_all(run):
    run.forget_after(0)
    assert run.read_log() == []


def test_a_log_of_nothing_later_is_not_written_to(run):
    before = (run.path / "log.jsonl").read_bytes()
    run.forget_after(3)
    assert (run.path / "log.jsonl").read_bytes() == before


def test_a_run_without_log_has_nothing_to_forget(tmp_path):
    RunFolder(tmp_path).forget_after(2)
    assert list(tmp_path.iterdir()) == []


def test_a_crash_while_it_forgets_leaves_the_log_as_it_was(run, monkeypatch):
    before = (run.path / "log.jsonl").read_bytes()

    def crash(*_args):
        raise OSError("power cut")

    monkeypatch.setattr("pathlib.Path.replace", crash)
    with pytest.raises(OSError, match="power cut"):
        run.forget_after(1)
    assert (run.path / "log.jsonl").read_bytes() == before
