import numpy as np
import pytest
import torch

from wsikd.errors import ConfigError
from wsikd.models.expander import Expander


def test_projects_as_written_out_by_hand():
    torch.manual_seed(0)
    expander = Expander(3, (4, 2)).double()
    embedding = torch.randn(5, 3, dtype=torch.double)
    first, _, _, last = (
        {n: p.detach().numpy() for n, p in layer.named_parameters()} for layer in expander
    )
    hidden = embedding.numpy() @ first["weight"].T + first["bias"]
    hidden = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5)
    by_hand = np.maximum(hidden, 0) @ last["weight"].T + last["bias"]
    assert expander(embedding).detach().numpy() == pytest.approx(by_hand)


def test_has_the_layers_of_the_paper():
    names = [str(layer) for layer in Expander(2048, (64, 64, 64))]
    assert [name.split("(")[0] for name in names] == [
        *("Linear", "BatchNorm1d", "ReLU"),
        *("Linear", "BatchNorm1d", "ReLU"),
        "Linear",
    ]


def test_without_layers_leaves_the_embedding_as_it_is():
    embedding = torch.rand(2, 5)
    assert torch.equal(Expander(5, ())(embedding), embedding)


def test_refuses_a_layer_without_width():
    with pytest.raises(ConfigError, match="--expander must be at least 1 wide in every layer"):
        Expander(5, (8, 0))


def test_refuses_to_learn_from_a_batch_of_one():
    with pytest.raises(ConfigError, match="batch normalisation must have at least 2 values"):
        Expander(5, (8, 8))(torch.rand(1, 5))
