import subprocess
import sys

import pytest
import torch
from torch import nn

from wsikd.losses.gather import gather
from wsikd.losses.selfsupervised import OBJECTIVES

WORKER = """
import sys
import torch
import torch.distributed.nn  # before there is a group, see wsikd.training.distributed
from wsikd.losses.gather import gather
from wsikd.losses.selfsupervised import OBJECTIVES

folder, rank, world = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
given = torch.load(f"{folder}/given.pt")
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
)
rows = slice(rank * len(given["first"]) // world, (rank + 1) * len(given["first"]) // world)
answers = {}
for name, objective in OBJECTIVES.items():
    model = torch.nn.Linear(*reversed(given["weight"].shape), bias=False, dtype=torch.double)
    model.weight.data.copy_(given["weight"])
    seen = model(torch.cat([given["first"][rows], given["second"][rows]]))
    first, second = (gather(part) for part in seen.chunk(2))
    loss = sum(objective(first, second).values())
    loss.backward()
    torch.distributed.all_reduce(model.weight.grad)
    answers[name] = (loss.detach(), model.weight.grad / world)
torch.save(answers, f"{folder}/answers-{rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def given():
    torch.manual_seed(0)
    first, second = torch.randn(2, 6, 5, dtype=torch.double)
    return {"first": first, "second": second, "weight": torch.randn(4, 5, dtype=torch.double)}


@pytest.fixture(scope="module")
def answers(given, tmp_path_factory):
    """Loss and gradient of every objective, by two processes that see half of the batch each."""
    folder = tmp_path_factory.mktemp("gather")
    torch.save(given, folder / "given.pt")
    command = [sys.executable, "-c", WORKER, str(folder)]
    workers = [
        subprocess.Popen([*command, str(rank), "2"], stderr=subprocess.PIPE) for rank in range(2)
    ]
    for worker in workers:
        _, said = worker.communicate(timeout=120)
        assert worker.returncode == 0, said.decode()
    return [torch.load(folder / f"answers-{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_processes_learn_what_one_does(given, answers, name, rank):
    model = nn.Linear(5, 4, bias=False, dtype=torch.double)
    model.weight.data.copy_(given["weight"])
    alone = sum(OBJECTIVES[name](model(given["first"]), model(given["second"])).values())
    alone.backward()
    loss, gradient = answers[rank][name]
    torch.testing.assert_close(loss, alone.detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, model.weight.grad, rtol=1e-6, atol=1e-6)


def test_leaves_a_single_process_alone():
    projection = torch.rand(3, 2)
    assert gather(projection) is projection
