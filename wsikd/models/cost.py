"""What reading an image costs: multiply-accumulate operations."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wsikd.geometry import Size


def count_macs(model: nn.Module, size: Size) -> int:
    """Count the multiply-accumulate operations of one forward pass, exactly for this size.

    Convolutions and linear layers count, with the products of the zero padding, as is usual;
    normalisation, activation and pooling do not. One MAC is two FLOPs.

    Parameters
    ----------
    model : nn.Module
        Takes a float image of shape (1, 3, height, width). It is not changed and nothing is
        computed: only shapes go through it.
    size : Size
        Size of the image in pixels.

    Examples
    --------
    >>> from wsikd.models import build_model
    >>> count_macs(build_model("resnet10w32", 3), Size(1024, 1024)) // 1024**2
    5016
    """
    macs = 0

    def add(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        assert isinstance(layer.weight, Tensor)
        macs += output.numel() * layer.weight[0].numel()

    shapes = {name: tensor.to("meta") for name, tensor in model.state_dict().items()}
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        image = torch.empty(1, 3, size.height, size.width, device="meta")
        functional_call(model, shapes, (image,))
    finally:
        for hook in hooks:
            hook.remove()
    return macs
