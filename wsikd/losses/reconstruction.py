"""Losses of predicting one image from another: the controls of paired self-supervision.

Table S5 of "More From Less" [1]_ predicts the second image of a pair by either loss.

References
----------
.. [1] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from wsikd.errors import ConfigError

_RADIUS = 5  # of the window of 11 pixels
_SIGMA = 1.5  # pixels
_C1, _C2 = 0.01**2, 0.03**2  # for values in 0 to 1


def reconstruction_loss(prediction: Tensor, target: Tensor, kind: str) -> Tensor:
    """Measure how far a predicted image is from what it should be.

    Parameters
    ----------
    prediction, target : Tensor, shape (B, C, H, W)
        Values in 0 to 1. No gradient flows to the target.
    kind : str
        Key of `RECONSTRUCTION_LOSSES`.

    Returns
    -------
    Tensor, shape ()
        Mean over the batch; 0 when they are equal.

    Raises
    ------
    ConfigError
        If the images differ in shape, or are too small for "ssim".

    Examples
    --------
    >>> reconstruction_loss(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), "mse").item()
    1.0
    """
    if prediction.shape != target.shape:
        raise ConfigError(
            f"a predicted image must have the shape of its target {tuple(target.shape[1:])}, got "
            f"{tuple(prediction.shape[1:])}; pair images of one size"
        )
    return RECONSTRUCTION_LOSSES[kind](prediction, target.detach())


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity, equation 13 of [1]_, averaged over pixels and channels.

    Local means, variances and covariances are weighed by a Gaussian of 1.5 pixels within a window
    of 11 x 11, as published; windows that reach over the border are left out.

    Parameters
    ----------
    first, second : Tensor, shape (B, C, H, W)
        Values in 0 to 1, H and W at least 11.

    Returns
    -------
    Tensor, shape (B,)
        1 when both are equal, below 0 when one is like the other's negative.

    Raises
    ------
    ConfigError
        If the images are smaller than the window.

    References
    ----------
    .. [1] Wang, Bovik, Sheikh, Simoncelli. "Image Quality Assessment: From Error Visibility to
           Structural Similarity". 2004. doi:10.1109/TIP.2003.819861.

    Examples
    --------
    >>> ssim(torch.ones(1, 3, 11, 11), torch.ones(1, 3, 11, 11))
    tensor([1.])
    """
    height, width = first.shape[2:]
    if min(height, width) <= 2 * _RADIUS:
        raise ConfigError(f"ssim needs images of at least 11 x 11 pixels, got {width} x {height}")
    products = (first, second, first * first, second * second, first * second)
    mean_1, mean_2, square_1, square_2, product = _smooth(torch.stack(products)).unbind()
    variance_1, variance_2 = square_1 - mean_1**2, square_2 - mean_2**2
    covariance = product - mean_1 * mean_2
    likeness = (2 * mean_1 * mean_2 + _C1) / (mean_1**2 + mean_2**2 + _C1)
    likeness = likeness * (2 * covariance + _C2) / (variance_1 + variance_2 + _C2)
    return likeness.mean((1, 2, 3))


def _smooth(images: Tensor) -> Tensor:
    """Weigh by the Gaussian; shape (..., H, W) to (..., H - 10, W - 10)."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, device=images.device, dtype=images.dtype)
    weights = torch.softmax(-(offsets**2) / (2 * _SIGMA**2), 0)
    flat = images.flatten(0, -3).unsqueeze(1)  # (all, 1, H, W)
    flat = F.conv2d(F.conv2d(flat, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return flat.view(*images.shape[:-2], *flat.shape[2:])


def _dissimilarity(prediction: Tensor, target: Tensor) -> Tensor:
    return 1 - ssim(prediction, target).mean()


RECONSTRUCTION_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "ssim": _dissimilarity,
}
"""Name to loss: mean squared error, and 1 less the mean structural similarity."""
