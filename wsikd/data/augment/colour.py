"""Arithmetic of colours that one image and a batch of them share."""

import torch
from torch import Tensor

GREY = (0.299, 0.587, 0.114)
"""What red, green and blue add to grey, by ITU-R BT.601."""


def scale_colours(
    pixels: Tensor,
    *,
    brightness: Tensor,
    brightness_shift: Tensor,
    contrast: Tensor,
    saturation: Tensor,
) -> None:
    """Change brightness, then contrast, then saturation, in place, with no limit in between.

    The three together are one linear map of an image, so its pixels are passed once.

    Parameters
    ----------
    pixels : Tensor, shape (B, 3, N)
        RGB; each of the B images has a mean grey of its own. Changed in place.
    brightness, contrast, saturation : Tensor, shape (B, 1)
        Factors: of the values, of the distance to the mean grey of the brightened image, and of
        the distance to each pixel's grey.
    brightness_shift : Tensor, shape (B, 1)
        Added to all values with the first factor.
    """
    grey = grey_of(pixels)  # (B, N)
    mean = grey.mean(1, keepdim=True)
    gain = brightness * contrast
    pixels.mul_((gain * saturation)[:, None])
    grey.mul_(gain * (1 - saturation))
    grey.add_(mean * brightness * (1 - contrast) + brightness_shift)
    pixels.add_(grey[:, None])


def grey_of(pixels: Tensor) -> Tensor:
    """Return the grey of RGB pixels: from shape (..., 3, N) to (..., N)."""
    red, green, blue = pixels.unbind(-2)
    return (GREY[0] * red).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])


def turn_hue(pixels: Tensor, turns: float | Tensor) -> None:
    """Turn the colour wheel of HSV, in place; value and chroma stay.

    Parameters
    ----------
    pixels : Tensor, shape (..., 3, N)
        RGB. Changed in place; values outside 0 to 1 are turned as well.
    turns : float, or Tensor of shape (..., 1)
        Of the whole wheel: a third brings red to green.

    Examples
    --------
    >>> red = torch.tensor([[1.0], [0.0], [0.0]])
    >>> turn_hue(red, 0.5)
    >>> red.flatten().tolist()
    [0.0, 1.0, 1.0]
    """
    largest, smallest = pixels.amax(-2), pixels.amin(-2)  # (..., N)
    chroma = largest - smallest
    sixths = _hue_in_sixths(pixels, largest, chroma).add_(6 * turns)
    sixths.sub_(torch.floor(sixths / 6), alpha=6)
    # A channel has all of the chroma within a sixth of a turn of its own hue and none beyond
    # two sixths. Red, at 0, is measured from its opposite, at 3, so that nothing wraps.
    centres = pixels.new_tensor([[3.0], [2.0], [4.0]])
    share = sixths.unsqueeze(-2).sub(centres).abs_()  # (..., 3, N)
    share[..., :1, :].sub_(1)
    share[..., 1:, :].neg_().add_(2)
    share.clamp_(0, 1)
    torch.addcmul(smallest.unsqueeze(-2), share, chroma.unsqueeze(-2), out=pixels)


def _hue_in_sixths(pixels: Tensor, largest: Tensor, chroma: Tensor) -> Tensor:
    """Compute the hue, -1 to 5: red 0, green 2, blue 4; of grey pixels, which have none, 0."""
    red, green, blue = pixels.unbind(-2)
    scale = chroma.clamp_min(torch.finfo(chroma.dtype).tiny).reciprocal_()
    # products with 0 and 1, as choosing by `where` takes longer on a CPU
    is_red = torch.eq(largest, red, out=torch.empty_like(largest))
    is_other = 1 - is_red
    is_green = torch.eq(largest, green, out=torch.empty_like(largest)).mul_(is_other)
    is_blue = is_other.sub_(is_green)
    hue = (green - blue).mul_(is_red)
    hue.addcmul_(blue - red, is_green).addcmul_(red - green, is_blue).mul_(scale)
    return hue.add_(is_green, alpha=2).add_(is_blue, alpha=4)
