"""Where a network is computed, in which layout, precision and by whose kernels."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, TypeVar

import torch
from torch import nn

from wsikd.errors import ConfigError
from wsikd.models.network import Network

ModuleType = TypeVar("ModuleType", bound=nn.Module)
NetworkType = TypeVar("NetworkType", bound=Network)

Precision = Literal["auto", "fp32", "bf16"]
Kernels = Literal["eager", "fused"]

_COMPUTES_BF16 = (8, 0)  # compute capability of the first GPUs that do


@dataclass(frozen=True)
class Way:
    """How networks are computed.

    Attributes
    ----------
    precision : torch.dtype, optional
        Of the maps between layers, in networks that round them; that of the weights without.
    fused : bool
        Whether group normalisation is a kernel of `wsikd.models.kernels`.
    """

    precision: torch.dtype | None = None
    fused: bool = False

    @classmethod
    def choose(cls, device: torch.device, precision: Precision, kernels: Kernels) -> "Way":
        """Return the way that was asked for on a device.

        Without being told, maps are bfloat16 where the kernels are fused and the GPU has them: with
        PyTorch's own group normalisation rounding gains nothing.

        Raises
        ------
        ConfigError
            If it cannot be.
        """
        fused = kernels == "fused"
        if fused and device.type != "cuda":
            raise ConfigError(f"--kernels fused needs a GPU, the device is {device}; leave it out")
        if fused and find_spec("triton") is None:
            raise ConfigError("--kernels fused needs Triton: pip install triton, or leave it out")
        is_gpu = device.type == "cuda"
        has_bf16 = is_gpu and torch.cuda.get_device_capability(device) >= _COMPUTES_BF16
        if precision == "bf16" and is_gpu and not has_bf16:
            name = torch.cuda.get_device_name(device)
            raise ConfigError(f"--precision bf16 needs a GPU that has it, {name} has not; say fp32")
        rounds = precision == "bf16" or (precision == "auto" and fused and has_bf16)
        return cls(torch.bfloat16 if rounds else None, fused)

    def bring(self, network: NetworkType) -> NetworkType:
        """Let a network be computed so.

        Raises
        ------
        ConfigError
            If it cannot be, as it has no group normalisation.
        """
        if self != Way() and not network.rounds:
            raise ConfigError(
                f"{type(network).__name__} has no group normalisation, which --precision bf16 and "
                "--kernels fused are for; leave them out, or take a model without -bn"
            )
        network.precision = self.precision
        network.fuse(fused=self.fused)
        return network

    @property
    def suffix(self) -> str:
        """What sets apart results of another precision; nothing of that of the weights."""
        return "" if self.precision is None else "-bf16"

    def told(self) -> str:
        """Return what to tell of it."""
        precision = "fp32" if self.precision is None else "bf16"
        return f"{precision}, {'fused' if self.fused else 'eager'} kernels"


USUAL = Way()
"""PyTorch's kernels, in the precision of the weights."""


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
    if isinstance(model, Network) and model.fused:
        layout = torch.channels_last  # a convolution returns what its image or its weights are
    return model.to(device=device, memory_format=layout)  # type: ignore[call-overload,no-any-return]  # torch's stubs leave memory_format out


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the layout that is faster there for networks with group normalisation.

    Measured with resnet10w32 on 1 MPix and two cores: 0.26 s a step with channels last, 0.34 s
    without. On CUDA group normalisation has no kernel for channels last and copies instead.
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format
