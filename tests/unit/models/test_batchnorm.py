import pytest
import torch

from wsikd.errors import ConfigError
from wsikd.models import build_model
from wsikd.models.batchnorm import BatchNorm1d, BatchNorm2d

REFUSAL = "batch normalisation must have at least 2 values per channel to learn from, got 1; use"


def test_normalises_by_the_mean_and_variance_of_the_batch():
    image = torch.randn(3, 4, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    values = image.numpy().transpose(1, 0, 2, 3).reshape(4, -1)
    by_hand = (values - values.mean(1, keepdims=True)) / (
        values.var(1, keepdims=True) + 1e-5
    ) ** 0.5
    normalised = BatchNorm2d(4).double()(image).detach().numpy()
    assert normalised.transpose(1, 0, 2, 3).reshape(4, -1) == pytest.approx(by_hand)


def test_refuses_to_learn_from_a_single_value():
    with pytest.raises(ConfigError, match=REFUSAL):
        BatchNorm1d(4)(torch.rand(1, 4))
    with pytest.raises(ConfigError, match=REFUSAL):
        build_model("resnet10w32-bn", 3)(torch.rand(1, 3, 32, 32))


def test_takes_a_single_value_when_it_does_not_learn():
    embedding = torch.rand(1, 4)
    normalised = BatchNorm1d(4).eval()(embedding)
    torch.testing.assert_close(normalised, embedding / (1 + 1e-5) ** 0.5)
