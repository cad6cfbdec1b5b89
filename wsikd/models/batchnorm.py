"""Batch normalisation that tells the user what to do when it has nothing to normalise by."""

from torch import Tensor, nn

from wsikd.errors import ConfigError
from wsikd.models.groupnorm import finish
from wsikd.models.inside import Inside, blank


class _RefusingSingleValues(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        """Normalise each channel over all of its values, as PyTorch does.

        Raises
        ------
        ConfigError
            If there is a single one to learn from.
        """
        refuse_single_values(self, values)
        normalised: Tensor = super().forward(values)
        return normalised


class BatchNorm1d(_RefusingSingleValues, nn.BatchNorm1d):
    """Batch normalisation of embeddings, shape (B, C); PyTorch's defaults."""


class BatchNorm2d(_RefusingSingleValues, nn.BatchNorm2d):
    """Batch normalisation of images, shape (B, C, H, W); PyTorch's defaults."""

    def forward(
        self,
        values: Tensor,
        inside: Inside | None = None,
        *,
        relu: bool = False,
        residual: Tensor | None = None,
    ) -> Tensor:
        """Normalise each channel, add the residual, and cut negatives off.

        Raises
        ------
        ConfigError
            If there is a single value per channel to learn from, or images of unequal sizes.
        """
        if self.training and inside is not None:
            raise ConfigError(
                "batch normalisation must learn from images of one size at a time, got several; "
                "pass them one by one, or use a model with group normalisation"
            )
        normalised = blank(super().forward(values), inside)
        return finish(normalised, relu=relu, residual=residual)


def refuse_single_values(norm: nn.Module, values: Tensor) -> None:
    """Refuse to normalise by the batch where each channel has one value, which would become 0.

    Raises
    ------
    ConfigError
        If the layer is in training mode and has one value per channel.
    """
    if norm.training and values.numel() == values.shape[1]:
        raise ConfigError(
            "batch normalisation must have at least 2 values per channel to learn from, got 1; "
            "use larger batches or images, or a model with group normalisation"
        )
