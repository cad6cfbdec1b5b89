import sys

import pytest

from wsikd.training.events import Events


def entry(epoch, loss):
    return {"epoch": epoch, "steps": 3 * epoch, "train": {"loss": loss}, "val": {}, "seconds": 0.1}


def write(folder, entries, *, done=0, active=True):
    with Events(folder, done, active=active) as events:
        for each in entries:
            events.add(each)


def test_nothing_is_written_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    write(tmp_path, [entry(1, 0.5)])
    assert list(tmp_path.iterdir()) == []


def test_of_several_processes_the_first_alone_writes(tmp_path):
    write(tmp_path, [entry(1, 0.5)], active=False)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_reads_each_epoch_once_also_if_one_was_done_again(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    watched = {"watched": {"separation": 0.25}}
    write(tmp_path, [entry(1, 4.0), entry(2, 3.0) | watched])
    write(tmp_path, [entry(2, 2.0) | watched, entry(3, 1.0)], done=1)
    found = reading.EventAccumulator(str(tmp_path))
    found.Reload()
    assert sorted(found.Tags()["scalars"]) == ["train/loss", "watched/separation"]
    losses = [(each.step, each.value) for each in found.Scalars("train/loss")]
    assert losses == [(1, 4.0), (2, 2.0), (3, 1.0)]
