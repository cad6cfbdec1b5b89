"""Residual networks with group or batch normalisation, under torchvision's parameter names."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wsikd.models.batchnorm import BatchNorm2d
from wsikd.models.convolution import Convolution
from wsikd.models.groupnorm import GroupNorm
from wsikd.models.images import Images
from wsikd.models.inside import Inside, after, blank
from wsikd.models.network import Network
from wsikd.models.policies import POLICIES, Policy, compute_again
from wsikd.models.tiles import pooled_stem

Norm = type[GroupNorm] | type[BatchNorm2d]


def _convolve_again(
    norm: nn.Module, convolution: nn.Module, image: Tensor, inside: Inside | None
) -> Tensor:
    """Convolve what is normalised, of which the backward pass keeps the image alone."""

    def compute(image: Tensor) -> Tensor:
        return convolution(norm(image, inside, relu=True))  # type: ignore[no-any-return]  # modules return Any

    return compute_again(compute, image)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut [1]_.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun. "Deep Residual Learning for Image Recognition". 2015.
           arXiv:1512.03385.
    """

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = Convolution(channels_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = Convolution(width, width, 3, padding=1, bias=False)
        self.bn2 = norm(width)
        self.downsample = _Shortcut(channels_in, width, stride, norm)

    def forward(
        self, image: Tensor, inside: Inside | None = None, *, recompute: bool = False
    ) -> Tensor:
        """Map (B, channels_in, H, W) to (B, width, H / stride, W / stride), rounded up."""
        below = after(inside, self.stride)
        residual = self.conv1(image)
        if recompute:
            residual = _convolve_again(self.bn1, self.conv2, residual, below)
        else:
            residual = self.bn1(residual, below, relu=True)
            residual = self.conv2(residual)
        shortcut = self.downsample(image, below)
        return self.bn2(residual, below, relu=True, residual=shortcut)  # type: ignore[no-any-return]  # modules return Any


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two of 1 x 1 that narrow and widen, beside a shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = Convolution(channels_in, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = Convolution(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = norm(width)
        self.conv3 = Convolution(width, width * self.expansion, 1, bias=False)
        self.bn3 = norm(width * self.expansion)
        self.downsample = _Shortcut(channels_in, width * self.expansion, stride, norm)

    def forward(
        self, image: Tensor, inside: Inside | None = None, *, recompute: bool = False
    ) -> Tensor:
        """Map (B, channels_in, H, W) to (B, 4 width, H / stride, W / stride), rounded up."""
        below = after(inside, self.stride)
        residual = self.conv1(image)
        if recompute:
            residual = _convolve_again(self.bn1, self.conv2, residual, inside)
            residual = _convolve_again(self.bn2, self.conv3, residual, below)
        else:
            residual = self.bn1(residual, inside, relu=True)
            residual = self.bn2(self.conv2(residual), below, relu=True)
            residual = self.conv3(residual)
        shortcut = self.downsample(image, below)
        return self.bn3(residual, below, relu=True, residual=shortcut)  # type: ignore[no-any-return]  # modules return Any


class Layout(NamedTuple):
    """Kind of block, blocks in each of the four stages, the stages' widths, and the norm."""

    block: type[BasicBlock] | type[Bottleneck]
    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    norm: Norm = GroupNorm


class ResNet(Network):
    """A residual network for standardised RGB images of any size.

    Parameters
    ----------
    layout : Layout
        Depth, widths and norm; the stem is as wide as the first stage.
    class_count : int
        Number of logits; 0 makes an encoder without a last layer.

    Attributes
    ----------
    widths : tuple of int
        Channels of the maps of the stem and of each stage.

    Notes
    -----
    Resolution-based distillation [1]_ uses `resnet10w32`, in the layout of its published code.
    Convolutions start from He's normal distribution (fan out), the linear layer from PyTorch's
    default. ReLU works in place, as no backward pass needs its input: on one CPU core 4 % faster
    in training, 15 % without gradients. A training step of `resnet10w32` takes 172 bytes per input
    pixel at its peak (`tests/benchmarks/measure_memory.py`).

    References
    ----------
    .. [1] DiPalma, Suriawinata, Tafe, Torresani, Hassanpour. "Resolution-Based Distillation for
           Efficient Histology Image Classification". 2021. arXiv:2101.04170.
    """

    stride = 32

    def __init__(self, layout: Layout, class_count: int) -> None:
        super().__init__()
        stem, second, third, fourth = layout.widths
        self.conv1 = Convolution(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = layout.norm(stem)
        self.maxpool = _MaxPool(3, stride=2, padding=1)
        expansion = layout.block.expansion
        self.layer1 = _Stage(layout, 0, channels_in=stem)
        self.layer2 = _Stage(layout, 1, channels_in=stem * expansion)
        self.layer3 = _Stage(layout, 2, channels_in=second * expansion)
        self.layer4 = _Stage(layout, 3, channels_in=third * expansion)
        self.widths = (stem, *(width * expansion for width in layout.widths))
        self.embedding_width = fourth * expansion
        self.know(class_count)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stages(self) -> dict[str, nn.Module]:
        """Return the pooled stem, at 1/4, and the four stages, at 1/4, 1/8, 1/16 and 1/32."""
        return {
            "stem": self.maxpool,
            "layer1": self.layer1,
            "layer2": self.layer2,
            "layer3": self.layer3,
            "layer4": self.layer4,
        }

    @property
    def packs(self) -> bool:
        """Whether no batch normalisation learns: it would mix images, and what lies outside."""
        return not any(isinstance(part, BatchNorm2d) and part.training for part in self.modules())

    @property
    def rounds(self) -> bool:
        """Whether norms add up in float32, as group normalisation does here."""
        return isinstance(self.bn1, GroupNorm)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All, but with batch normalisation, which would count each batch that is seen again."""
        return POLICIES if isinstance(self.bn1, GroupNorm) else ("plain",)

    def map_features(self, images: Images | Tensor) -> Tensor:
        """Return the output of the last stage after its ReLU, shape (B, C, H / 32, W / 32).

        Raises
        ------
        ConfigError
            If the images differ in size and a batch normalisation learns.
        """
        # not the last of map_stages, which keeps the large maps of the first
        images = Images.of(images)
        halved = after(Inside.of(images), 2)
        # without gradients nothing is kept that could be computed again
        keeps_nothing = not torch.is_grad_enabled() and self.policy != "tiled"
        policy: Policy = "plain" if keeps_nothing else self.policy
        image, inside = self._see_stem(images.pixels, halved, policy), after(halved, 2)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            image = stage(image, inside, policy)
            inside = after(inside, stage.stride)
        return image

    def _see_stem(self, pixels: Tensor, inside: Inside | None, policy: Policy) -> Tensor:
        """Return the pooled stem; what lies inside is that of the map before it is pooled."""
        # padding is for small images, and an image that learns is looked at, not learnt from
        if policy == "tiled" and inside is None and not pixels.requires_grad:
            assert isinstance(self.bn1, GroupNorm)
            return pooled_stem(pixels, self.conv1.weight, self.bn1)

        def read(pixels: Tensor) -> Tensor:
            return pool(self.conv1(pixels))

        def pool(image: Tensor) -> Tensor:
            image = self.bn1(image, inside, relu=True)
            return self.maxpool(image, after(inside, 2))  # type: ignore[no-any-return]  # modules return Any

        if policy == "recompute":
            return compute_again(pool, self.conv1(pixels))
        if policy != "plain":
            return compute_again(read, pixels)
        image = self.conv1(pixels)  # not handed to a function, which would hold it to its end
        image = self.bn1(image, inside, relu=True)
        return self.maxpool(image, after(inside, 2))  # type: ignore[no-any-return]  # modules return Any

    def map_stages(self, image: Tensor) -> list[Tensor]:
        """Return the maps of stem and stages, at 1/2 (before its pooling), 1/4, ... and 1/32."""
        maps = [self.bn1(self.conv1(image), relu=True)]
        maps.append(self.layer1(self.maxpool(maps[0])))
        for stage in (self.layer2, self.layer3, self.layer4):
            maps.append(stage(maps[-1]))
        return maps


class _Stage(nn.Sequential):
    """Blocks one after the other, the first with the stride."""

    def __init__(self, layout: Layout, index: int, *, channels_in: int) -> None:
        width, norm = layout.widths[index], layout.norm
        self.stride = 1 if index == 0 else 2
        first = layout.block(channels_in, width, self.stride, norm)
        channels = width * layout.block.expansion
        rest = (layout.block(channels, width, 1, norm) for _ in range(1, layout.depths[index]))
        super().__init__(first, *rest)

    def forward(
        self, image: Tensor, inside: Inside | None = None, policy: Policy = "plain"
    ) -> Tensor:
        """Map an image; what lies inside is that of the input."""
        again = policy in {"checkpoint", "tiled"}
        for block in self:
            compute = partial(block, inside=inside, recompute=policy == "recompute")
            image = compute_again(compute, image) if again else compute(image)
            inside = after(inside, block.stride)  # type: ignore[arg-type]
        return image


class _Shortcut(nn.Sequential):
    """What takes a block's input to where its output is; the identity if it is there already."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, norm: Norm) -> None:
        if stride == 1 and channels_in == channels_out:
            super().__init__()
        else:
            convolution = Convolution(channels_in, channels_out, 1, stride, bias=False)
            super().__init__(convolution, norm(channels_out))

    def forward(self, image: Tensor, inside: Inside | None = None) -> Tensor:
        """Map an image; what lies inside is that of the output."""
        if not len(self):
            return image
        convolution, norm = self
        return norm(convolution(image), inside)  # type: ignore[no-any-return]  # modules return Any


class _MaxPool(nn.MaxPool2d):
    def forward(self, image: Tensor, inside: Inside | None = None) -> Tensor:
        """Pool an image that is 0 outside and nowhere below; what lies inside is the output's.

        A window over the border of what lies inside can have its centre outside.
        """
        return blank(super().forward(image), inside)
