"""Batch normalisation that says what to do when it has nothing to normalise by."""

from torch import Tensor, nn

from wsikd.errors import ConfigError


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation of embeddings, shape (B, C); PyTorch's defaults."""

    def forward(self, embedding: Tensor) -> Tensor:
        """Normalise each channel over the batch.

        Raises
        ------
        ConfigError
            If there is a single embedding to learn from.
        """
        refuse_single_values(self, embedding)
        return super().forward(embedding)


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation of images, shape (B, C, H, W); PyTorch's defaults."""

    def forward(self, image: Tensor) -> Tensor:
        """Normalise each channel over the batch and its pixels.

        Raises
        ------
        ConfigError
            If there is a single pixel to learn from.
        """
        refuse_single_values(self, image)
        return super().forward(image)


def refuse_single_values(norm: nn.BatchNorm1d | nn.BatchNorm2d, values: Tensor) -> None:
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
