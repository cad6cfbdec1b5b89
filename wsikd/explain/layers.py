"""The layers at which a network is looked into: the stages that it declares."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from wsikd.geometry import Size
from wsikd.models import Network
from wsikd.models.shapes import read_shape

_LONG = 64  # pixels of the last map where strides are measured, so that borders weigh little


@contextmanager
def watching(
    layers: Mapping[str, nn.Module], look: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Call `look` with every layer's name and output in each forward pass; at the end no more."""

    def hook_of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _module, _inputs, output: look(name, output)

    hooks = [module.register_forward_hook(hook_of(name)) for name, module in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def measure_strides(model: Network) -> dict[str, int]:
    """Measure how many pixels of the image a place of each layer's map stands for.

    Examples
    --------
    >>> from wsikd.models import build_model
    >>> measure_strides(build_model("resnet10w32", 2))
    {'stem': 4, 'layer1': 4, 'layer2': 8, 'layer3': 16, 'layer4': 32}
    """
    side, strides = _LONG * model.stride, {}

    def look(name: str, output: Tensor) -> None:
        strides[name] = round(side / output.shape[-1])

    with watching(model.stages(), look):
        read_shape(model, Size(side, side))
    return strides


def title_of(layer: str) -> str:
    """Return what a layer is called in a picture.

    Examples
    --------
    >>> title_of("layer4"), title_of("stem"), title_of("blocks.2")
    ('layer 4', 'stem', 'blocks.2')
    """
    number = layer.removeprefix("layer")
    return layer if number == layer else f"layer {number}"
