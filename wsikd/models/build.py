"""The networks by name."""

from collections.abc import Callable
from functools import partial

from wsikd.config import OneOf
from wsikd.errors import ConfigError
from wsikd.models.batchnorm import BatchNorm2d
from wsikd.models.network import Network
from wsikd.models.resnet import BasicBlock, Bottleneck, Layout, ResNet
from wsikd.models.timm_encoders import build_timm_encoder

_RESNET10W32 = Layout(BasicBlock, (1, 1, 1, 1), (32, 64, 128, 256))
_RESNET18 = Layout(BasicBlock, (2, 2, 2, 2), (64, 128, 256, 512))
_RESNET34 = Layout(BasicBlock, (3, 4, 6, 3), (64, 128, 256, 512))
_RESNET50 = Layout(Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512))

MODELS: dict[str, Callable[[int], Network]] = {
    "resnet10w32": partial(ResNet, _RESNET10W32),
    "resnet18": partial(ResNet, _RESNET18),
    "resnet34": partial(ResNet, _RESNET34),
    "resnet50": partial(ResNet, _RESNET50),
    "resnet10w32-bn": partial(ResNet, _RESNET10W32._replace(norm=BatchNorm2d)),
    "resnet18-bn": partial(ResNet, _RESNET18._replace(norm=BatchNorm2d)),
    "resnet34-bn": partial(ResNet, _RESNET34._replace(norm=BatchNorm2d)),
    "resnet50-bn": partial(ResNet, _RESNET50._replace(norm=BatchNorm2d)),
    "mobilenetv2": partial(build_timm_encoder, "mobilenetv2"),
    "efficientnet_b0": partial(build_timm_encoder, "efficientnet_b0"),
    "xception": partial(build_timm_encoder, "xception"),
}
"""Name to what builds the network for a number of classes.

Those in -bn normalise by the batch, as do the last three, which need timm.
"""

ModelName = OneOf[str, MODELS]
"""A key of `MODELS`."""


def build_model(name: str, class_count: int) -> Network:
    """Build a network with random weights, drawn from PyTorch's global generator.

    Parameters
    ----------
    name : str
        Key of `MODELS`.
    class_count : int
        Number of logits; 0 makes an encoder without a last layer.

    Raises
    ------
    ConfigError
        If the name is not in `MODELS`, `class_count` is below 0, or a library is missing.

    Examples
    --------
    >>> sum(parameter.numel() for parameter in build_model("resnet10w32", 3).parameters())
    1231011
    """
    if name not in MODELS:
        raise ConfigError(f"model {name!r} is unknown; choose one of {', '.join(MODELS)}")
    if class_count < 0:
        raise ConfigError(f"class_count must be at least 0, got {class_count}")
    return MODELS[name](class_count)
