"""Networks that read a region of any size and return its feature map and its logits."""

from wsikd.models.build import MODELS, ModelName, build_model
from wsikd.models.network import Network, Seen
from wsikd.models.resnet import ResNet

__all__ = ["MODELS", "ModelName", "Network", "ResNet", "Seen", "build_model"]
