import pytest

from wsikd.errors import ConfigError
from wsikd.models import build_model
from wsikd.training import batch_norms
from wsikd.training.batch_norms import refuse_batch_norm


def test_batch_normalisation_is_refused_in_several_processes_alone(monkeypatch):
    with_it, without = build_model("resnet10w32-bn", 2), build_model("resnet10w32", 2)
    refuse_batch_norm(with_it, "--model resnet10w32-bn")
    monkeypatch.setattr(batch_norms, "process_count", lambda: 2)
    refuse_batch_norm(without, "--model resnet10w32")
    with pytest.raises(ConfigError, match="resnet10w32-bn: has batch normalisation"):
        refuse_batch_norm(with_it, "--model resnet10w32-bn")
