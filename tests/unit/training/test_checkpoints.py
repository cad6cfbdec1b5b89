import pytest
import torch
from torch import nn

from wsikd.errors import CheckpointError
from wsikd.training.checkpoints import Progress, Writer, keep_state, load_state


def make_learner():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, torch.optim.Adam(model.parameters(), lr=0.1)


def save_state(folder, model, optimizer, progress):
    keep_state(model, optimizer, progress)(folder)


def step(model, optimizer):
    model(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_the_optimizer_goes_on_from_its_moments(tmp_path):
    model, optimizer = make_learner()
    step(model, optimizer)
    save_state(tmp_path, model, optimizer, Progress(steps=1))
    step(model, optimizer)
    other, other_optimizer = make_learner()
    load_state(tmp_path, other, other_optimizer)
    step(other, other_optimizer)
    assert torch.equal(other.weight, model.weight)


def test_progress_comes_back_as_it_was(tmp_path):
    progress = Progress(epoch=3, position=64, steps=41, sums={"loss": 1.5}, best_loss=0.25)
    save_state(tmp_path, *make_learner(), progress)
    assert load_state(tmp_path, *make_learner()) == progress


def test_without_a_state_a_training_is_at_its_start(tmp_path):
    assert load_state(tmp_path, *make_learner()) == Progress()


@pytest.mark.parametrize("keep", [0, 100, 1500])
def test_a_damaged_state_is_refused_by_name(tmp_path, keep):
    save_state(tmp_path, *make_learner(), Progress())
    path = tmp_path / "training.pt"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        CheckpointError, match=r"training\.pt: must be a training state, is damaged"
    ):
        load_state(tmp_path, *make_learner())


def test_a_state_of_another_network_is_refused_by_name(tmp_path):
    save_state(tmp_path, *make_learner(), Progress())
    wider = nn.Linear(3, 5)
    said = (
        r"training\.pt: must be the state of this network; bias must have shape \(5,\), got \(2,\)"
    )
    with pytest.raises(CheckpointError, match=said):
        load_state(tmp_path, wider, torch.optim.Adam(wider.parameters()))
    model, _ = make_learner()
    with pytest.raises(CheckpointError, match="of this network; weights of the optimizer are oth"):
        load_state(tmp_path, model, torch.optim.Adam([model.bias]))


def test_a_state_of_another_version_is_refused(tmp_path):
    torch.save({"format": "wsikd-state", "version": 2}, tmp_path / "training.pt")
    with pytest.raises(
        CheckpointError, match="expected wsikd-state version 1, found wsikd-state version 2"
    ):
        load_state(tmp_path, *make_learner())


def test_an_epoch_that_closes_adds_its_time_to_the_whole():
    progress = Progress(position=5, sums={"loss": 2.0}, epoch_seconds=3.0, seconds=10.0)
    progress.close_epoch()
    assert progress == Progress(epoch=1, seconds=13.0)


def test_what_is_written_is_the_state_of_when_it_was_kept(tmp_path):
    model, optimizer = make_learner()
    step(model, optimizer)
    write = keep_state(model, optimizer, Progress(steps=1))
    kept = model.weight.detach().clone()
    step(model, optimizer)
    write(tmp_path)
    other, other_optimizer = make_learner()
    load_state(tmp_path, other, other_optimizer)
    assert torch.equal(other.weight, kept)
    assert all(state["step"] == 1 for state in other_optimizer.state.values())


class TestWriter:
    def test_writes_in_order_and_is_done_at_its_end(self, tmp_path):
        path = tmp_path / "written"
        with Writer() as writer:
            writer.write([lambda: path.write_text("a"), lambda: path.write_text("b")])
            writer.write([lambda: path.write_text(path.read_text() + "c")])
        assert path.read_text() == "bc"

    def test_what_goes_wrong_is_raised_where_the_next_is_written(self, tmp_path):
        with Writer() as writer:
            writer.write([lambda: (tmp_path / "no" / "such").write_text("")])
            with pytest.raises(FileNotFoundError):
                writer.write([])
