"""Networks without numbers: only shapes go through them, so that any size costs the same."""

import torch
from torch import nn
from torch.func import functional_call

from wsikd.geometry import Size


def read_shape(model: nn.Module, size: Size) -> None:
    """Send the shape of an image through a model, for what watches it on the way.

    Parameters
    ----------
    model : nn.Module
        Takes a float image of shape (1, 3, height, width). It is not changed and nothing is
        computed.
    size : Size
        Size of the image in pixels.
    """
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    shapes = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    with torch.no_grad(), torch.device("meta"):  # so are the tensors that the model makes
        functional_call(model, shapes, (torch.empty(1, 3, size.height, size.width),))
