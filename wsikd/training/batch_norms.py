"""Batch normalisation where each of several processes has a part of the batch.

It sees the whole batch on CUDA only, where torch has a layer for it, and only if all parts are
there at once. On a CPU each process normalises by its own part, and the running statistics that are
kept are those of rank 0.
"""

from collections.abc import Callable

import torch
from torch import nn

from wsikd.errors import ConfigError
from wsikd.training.distributed import process_count


def share_batch_norm(model: nn.Module, device: torch.device, warn: Callable[[str], None]) -> None:
    """Let layers of batch normalisation see the whole batch, or warn that they cannot."""
    if process_count() == 1 or not _has_batch_norm(model):
        return
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    else:
        warn(
            "batch normalisation sees the part of a batch that each process has; one process, "
            "GPUs, or a model and --expander without it let it see the whole"
        )


def refuse_batch_norm(model: nn.Module, name: str) -> None:
    """Refuse a network whose result would depend on how a step is dealt to the processes.

    Raises
    ------
    ConfigError
    """
    if process_count() > 1 and _has_batch_norm(model):
        raise ConfigError(
            f"{name}: has batch normalisation, which would see only the part of a step that each "
            "process has; train it in one process, or take a network without it, such as "
            "--model resnet10w32"
        )


def _has_batch_norm(model: nn.Module) -> bool:
    return any(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in model.modules())
