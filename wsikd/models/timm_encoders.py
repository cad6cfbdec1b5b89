"""Encoders of the library timm: those of "More From Less", table S4, beside its ResNet.

MobileNetV2 [1]_, EfficientNet-B0 [2]_ and Xception [3]_, with batch normalisation and random
weights. timm is optional: it needs a torchvision that was made for the installed torch.

References
----------
.. [1] Sandler, Howard, Zhu, Zhmoginov, Chen. "MobileNetV2: Inverted Residuals and Linear
       Bottlenecks". 2018. arXiv:1801.04381.
.. [2] Tan, Le. "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks". 2019.
       arXiv:1905.11946.
.. [3] Chollet. "Xception: Deep Learning with Depthwise Separable Convolutions". 2016.
       arXiv:1610.02357.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from wsikd.errors import ConfigError
from wsikd.models.batchnorm import refuse_single_values
from wsikd.models.images import Images
from wsikd.models.network import Network

TIMM_NAMES = {
    "mobilenetv2": "mobilenetv2_100",
    "efficientnet_b0": "efficientnet_b0",
    "xception": "legacy_xception",
}
"""Ours to timm's."""

SMALLEST = 7  # px; Xception begins with convolutions that do not pad


class TimmEncoder(Network):
    """Makes a network of timm one of ours.

    Parameters
    ----------
    body : nn.Module
        Has what timm's networks have: `forward_features` returns a map of `num_features` channels,
        and `feature_info` has the name (`module`), the channels (`num_chs`) and the stride
        (`reduction`) of the maps on the way to it, from fine to coarse.
    class_count : int
        Number of logits; 0 makes an encoder without a last layer.

    Notes
    -----
    Sides below 7 px are padded with 0, the mean colour. Xception's map is 1/32 of the image rounded
    down more often than up, and EfficientNet's goes below 0. Where the last map of `feature_info`
    is widened once more, as in MobileNetV2 and EfficientNet, that is a stage called "head".
    """

    def __init__(self, body: nn.Module, class_count: int) -> None:
        super().__init__()
        assert isinstance(body.num_features, int)
        self.body, self.embedding_width = body, body.num_features
        last = self._information()[-1]
        self.stride = last["reduction"]
        self._widens = last["num_chs"] != body.num_features
        self.head = nn.Identity()  # where the map can be looked at that no module of timm's returns
        self.know(class_count)
        for module in body.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.register_forward_pre_hook(_refuse_single_values)

    def stages(self) -> dict[str, nn.Module]:
        """Return the modules that timm takes feature maps from, under their names there."""
        names = [one["module"] for one in self._information()]
        found = {name: self.body.get_submodule(name) for name in names}
        return found | ({"head": self.head} if self._widens else {})

    def map_features(self, images: Images | Tensor) -> Tensor:
        """Return the body's last map, shape (B, C, about H / stride, about W / stride).

        Raises
        ------
        ConfigError
            If the images differ in size.
        """
        pixels, sizes = Images.of(images)
        if sizes is not None:
            raise ConfigError(
                "a network of timm must read images of one size at a time, got several; pass them "
                "one by one, or use a model whose name begins with resnet"
            )
        height, width = pixels.shape[2:]
        lacking = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
        feature_map = self.body.forward_features(F.pad(pixels, lacking))  # type: ignore[operator]  # a method
        return self.head(feature_map)  # type: ignore[no-any-return]  # modules return Any

    def _information(self) -> list[dict[str, Any]]:
        return self.body.feature_info  # type: ignore[return-value]  # a list in all of timm's


def build_timm_encoder(name: str, class_count: int) -> TimmEncoder:
    """Build a network of timm with random weights.

    Parameters
    ----------
    name : str
        Key of `TIMM_NAMES`.
    class_count : int
        Number of logits; 0 makes an encoder without a last layer.

    Raises
    ------
    ConfigError
        If timm is not installed or cannot be imported.
    """
    timm = _import_timm(name)
    # neither timm's last layer nor its pooling
    body = timm.create_model(TIMM_NAMES[name], pretrained=False, num_classes=0, global_pool="")
    return TimmEncoder(body, class_count)


def _import_timm(name: str) -> Any:
    try:
        import timm  # noqa: PLC0415  # optional
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"model {name!r} needs {error.name}, which is not installed; pip install 'wsikd[timm]'"
        ) from None
    except (ImportError, RuntimeError) as error:  # as by a torchvision made for another torch
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"model {name!r} needs timm, which cannot be imported: {reason}; "
            "install the torchvision that was made for this torch"
        ) from None
    return timm


def _refuse_single_values(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
    refuse_single_values(norm, inputs[0])
