"""The optimizer of every training."""

import torch
from torch import nn

from wsikd.training.settings import RunSettings

_FUSED = ("cpu", "cuda")  # where Adam has one kernel for a whole step


def build_optimizer(model: nn.Module, settings: RunSettings) -> torch.optim.Adam:
    """Return Adam on those parameters of a model that require a gradient."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return torch.optim.Adam(
        weights,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=all(weight.device.type in _FUSED for weight in weights),
    )
