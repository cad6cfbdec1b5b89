"""Networks without numbers: only shapes go through them, so that any size costs the same."""

from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from wsikd.geometry import Size
from wsikd.models.network import Network


def read_shape(model: nn.Module, size: Size) -> Any:
    """Send the shape of an image through a model, and return the shapes that come out.

    Parameters
    ----------
    model : nn.Module
        Takes a float image of shape (1, 3, height, width). It is not changed and nothing is
        computed.
    size : Size
        Size of the image in pixels.

    Returns
    -------
    object
        What the model returns, its tensors without numbers.
    """
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    shapes = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    with torch.no_grad(), torch.device("meta"):  # so are the tensors that the model makes
        return functional_call(model, shapes, (torch.empty(1, 3, size.height, size.width),))


def map_size(model: Network, size: Size) -> tuple[int, int]:
    """Return height and width of the feature map of an image of that size.

    Examples
    --------
    >>> from wsikd.models import build_model
    >>> map_size(build_model("resnet10w32", 2), Size(width=65, height=32))
    (1, 3)
    """
    height, width = read_shape(model, size).feature_map.shape[2:]
    return height, width
