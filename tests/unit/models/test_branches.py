import pytest
import torch

from wsikd.models import build_model
from wsikd.models.branches import Branch, Branches
from wsikd.models.expander import Expander


def make_branch(*sizes: int) -> Branch:
    return Branch(build_model("resnet10w32", 0), Expander(256, sizes))


@pytest.fixture(scope="module")
def branches():
    torch.manual_seed(0)
    return Branches(make_branch(16, 8), make_branch(16, 8))


IMAGES = torch.rand(2, 3, 40, 33, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["primary", "privileged"])
def test_projects_what_the_encoder_of_that_branch_embeds(branches, name):
    branch = getattr(branches, name)
    torch.testing.assert_close(branches.embed(name, IMAGES), branch.encoder(IMAGES).embedding)
    projection = branch.expander(branch.encoder(IMAGES).embedding)
    torch.testing.assert_close(branches.project(name, IMAGES), projection)
    assert projection.shape == (2, 8)


def test_projects_all_views_but_the_privileged_by_the_primary_branch(branches):
    seen = branches({"primary": IMAGES, "second": IMAGES, "privileged": IMAGES[..., :20]})
    assert list(seen) == ["primary", "second", "privileged"]
    torch.testing.assert_close(seen["second"], seen["primary"])
    torch.testing.assert_close(seen["privileged"], branches.project("privileged", IMAGES[..., :20]))


def test_learns_in_the_branch_that_saw_the_view(branches):
    branches.zero_grad()
    branches.project("privileged", IMAGES).sum().backward()
    assert all(tensor.grad is None for tensor in branches.primary.parameters())
    assert all(tensor.grad is not None for tensor in branches.privileged.parameters())


def test_shares_the_weights_when_there_is_one_branch():
    one = make_branch(8)
    shared = Branches(one)
    assert shared.privileged is shared.primary
    assert len(list(shared.parameters())) == len(list(one.parameters()))
    assert torch.equal(shared.project("primary", IMAGES), shared.project("privileged", IMAGES))
