import pytest
import torch

from wsikd.errors import ConfigError
from wsikd.training.device import choose_device


def test_auto_is_a_gpu_only_where_there_is_one():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="device 'abacus' is unknown; choose auto, cpu or cuda"):
        choose_device("abacus")


@pytest.mark.skipif(torch.cuda.device_count() > 7, reason="this machine has that many GPUs")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="device 'cuda:7' is not on this machine"):
        choose_device("cuda:7")
