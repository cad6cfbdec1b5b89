"""Convolution whose weights stay in float32, whatever its image is computed in."""

from torch import Tensor, nn


class Convolution(nn.Conv2d):
    """PyTorch's, with the weights rounded to the image's precision for each pass.

    Gradients add up in the precision of the weights, so that small steps are not lost. On a CPU
    what is rounded is multiplied in float32, as a GPU adds up: there PyTorch's own convolution of
    bfloat16 now and then returns gradients that are no numbers, on maps of a pixel or two.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Convolve an image of shape (B, C, H, W)."""
        weight, computed = self.weight.to(image.dtype), image
        if image.device.type == "cpu":
            weight, computed = weight.to(self.weight.dtype), image.to(self.weight.dtype)
        convolved: Tensor = self._conv_forward(computed, weight, self.bias)
        return convolved.to(image.dtype)
