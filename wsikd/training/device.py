"""Where a network is computed, and in which layout."""

from typing import TypeVar

import torch
from torch import nn

from wsikd.errors import ConfigError

ModuleType = TypeVar("ModuleType", bound=nn.Module)


def choose_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is a GPU if there is one.

    Raises
    ------
    ConfigError
        If there is no such device.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device {name!r} is unknown; choose auto, cpu or cuda") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name!r} is not on this machine; choose auto or cpu")
    return device


def place(model: ModuleType, device: torch.device) -> ModuleType:
    """Bring a network to a device, in the layout that is faster there."""
    layout = memory_format(device)
    return model.to(device=device, memory_format=layout)  # type: ignore[call-overload,no-any-return]  # torch's stubs leave memory_format out


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the layout that is faster there for networks with group normalisation.

    Measured with resnet10w32 on 1 MPix and two cores: 0.26 s a step with channels last, 0.34 s
    without. On CUDA group normalisation has no kernel for channels last and copies instead.
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format
