import pytest
import torch
from torch import nn

from wsikd.models import build_model
from wsikd.models.modes import train_unfrozen


def training_parts(model):
    return {name for name, part in model.named_modules() if part.training}


def test_with_nothing_frozen_all_of_a_network_is_in_train_mode():
    model = build_model("resnet10w32-bn", 2).eval()
    train_unfrozen(model)
    assert training_parts(model) == {name for name, _ in model.named_modules()}


def test_with_all_but_the_last_layer_frozen_no_part_with_weights_is_but_that_layer():
    model = build_model("resnet10w32-bn", 2).requires_grad_(False)
    model.fc.requires_grad_(True)
    train_unfrozen(model)
    with_weights = {name for name, part in model.named_modules() if list(part.parameters())}
    assert training_parts(model) & with_weights == {"", "fc"}


def test_a_part_that_learns_again_is_put_back_into_train_mode():
    model = nn.Sequential(nn.BatchNorm1d(2).requires_grad_(False), nn.Linear(2, 2))
    train_unfrozen(model)
    model.requires_grad_(True)
    train_unfrozen(model)
    assert training_parts(model) == {"", "0", "1"}


@pytest.mark.parametrize("is_frozen", [True, False])
def test_dropout_within_a_part_follows_that_part(is_frozen):
    part = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).requires_grad_(not is_frozen)
    train_unfrozen(nn.Sequential(part, nn.Linear(2, 2)))
    assert part[1].training is not is_frozen


def test_a_frozen_network_beside_one_that_learns_answers_as_before():
    teacher, student = (build_model("resnet10w32-bn", 2) for _ in range(2))
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = teacher.eval().requires_grad_(False)(image).logits
    both = nn.ModuleDict({"student": student, "teacher": teacher})
    train_unfrozen(both)
    student(image)
    assert torch.equal(both["teacher"](image).logits, before)
