"""Convolution whose weights stay in float32, whatever its image is computed in."""

from torch import Tensor, nn


class Convolution(nn.Conv2d):
    """PyTorch's, with the weights rounded to the image's precision for each pass.

    Gradients add up in the precision of the weights, so that small steps are not lost.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Convolve an image of shape (B, C, H, W)."""
        convolved: Tensor = self._conv_forward(image, self.weight.to(image.dtype), self.bias)
        return convolved
