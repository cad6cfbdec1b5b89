"""The layers at which a network is looked into: the stem and the four stages."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from wsikd.errors import ConfigError

LAYERS = {
    "stem": "maxpool",  # what the stem hands on, after its ReLU
    "layer1": "layer1",
    "layer2": "layer2",
    "layer3": "layer3",
    "layer4": "layer4",
}
"""What a layer is called here, to the module whose output it is."""


def find_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Give the modules whose outputs, of shape (B, C, h, w), are the layers' feature maps.

    Raises
    ------
    ConfigError
        If the network is not laid out as a ResNet.

    Examples
    --------
    >>> from wsikd.models import build_model
    >>> list(find_layers(build_model("resnet10w32", 2)))
    ['stem', 'layer1', 'layer2', 'layer3', 'layer4']
    """
    modules = dict(model.named_modules())
    lacking = [name for name in LAYERS.values() if name not in modules]
    if lacking:
        raise ConfigError(
            f"a network must have the layers of a ResNet to be explained, {type(model).__name__} "
            f"has no {lacking[0]}"
        )
    return {layer: modules[name] for layer, name in LAYERS.items()}


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
