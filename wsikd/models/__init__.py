"""Networks that read a region of any size and give its feature map and its logits."""

from wsikd.models.resnet import MODELS, ResNet, Seen, build_model

__all__ = ["MODELS", "ResNet", "Seen", "build_model"]
