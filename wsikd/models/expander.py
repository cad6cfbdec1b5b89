"""The projector of self-supervision, discarded after training."""

from collections.abc import Sequence

from torch import nn

from wsikd.errors import ConfigError
from wsikd.models.batchnorm import BatchNorm1d


class Expander(nn.Sequential):
    """Linear layers from an embedding to a projection, all but the last with batch norm and ReLU.

    Parameters
    ----------
    width : int
        Of the embedding.
    sizes : sequence of int
        Widths of the layers; the last is the projection's. None at all leave the embedding as
        it is.

    Raises
    ------
    ConfigError
        If a width is below 1.

    Notes
    -----
    Paired self-supervision [1]_ uses 8192, 8192, 8192; that the first two are normalised is in its
    published code only. All layers have a bias, as there.

    References
    ----------
    .. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for
           Routine Histopathology Data". 2023. arXiv:2303.10656.

    Examples
    --------
    >>> [type(layer).__name__ for layer in Expander(256, (64, 64))]
    ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """

    def __init__(self, width: int, sizes: Sequence[int]) -> None:
        super().__init__()
        for size in sizes:
            if size < 1:
                raise ConfigError(f"--expander must be at least 1 wide in every layer, got {size}")
            if len(self):
                self.extend([BatchNorm1d(width), nn.ReLU(inplace=True)])
            self.append(nn.Linear(width, size))
            width = size
