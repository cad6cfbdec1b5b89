"""Two controls that a nuclei segmenter must beat: one threshold for all images, and Otsu's.

Both find what is dark, or what is blue; a network that is no better has not been shown to see
nuclei. What they find is smoothed and parted as a network's mask is, which is not done here.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2hed
from skimage.filters import threshold_otsu

from wsikd.evaluation.metrics import Floats
from wsikd.geometry import Pixels
from wsikd.nuclei.score.metrics import Mask

_GREYS = 3 * 255 + 1  # sums of red, green and blue


def best_global_threshold(labelled: Iterable[tuple[Pixels, Mask]]) -> float:
    """Find the grey value that parts nuclei from the rest of training images best.

    The control of the code published with "Efficient Self-Supervision using Patch-based
    Contrastive Learning" [1]_, `optimal_threshold_dice`: the threshold of the best mean Dice over
    the images. It learns from labels, which the network does not. All thresholds are tried, on
    masks that are not smoothed.

    Parameters
    ----------
    labelled : iterable of (Pixels, ndarray of bool of shape (height, width))
        Training images and their nuclei.

    Returns
    -------
    float
        Mean of red, green and blue, 0 to 255; of equally good ones the lowest.

    References
    ----------
    .. [1] Boserup, Selvan. 2023. arXiv:2208.10779.
    """
    curves = [_dice_of_thresholds(pixels, mask) for pixels, mask in labelled]
    assert curves, "no training image"
    return int(np.mean(curves, axis=0).argmax()) / 3


def darker_than(pixels: Pixels, threshold: float) -> Mask:
    """Find the pixels whose mean of red, green and blue is at most a threshold.

    Examples
    --------
    >>> darker_than(np.array([[[90, 80, 100], [91, 80, 100]]], np.uint8), 90.0).tolist()
    [[True, False]]
    """
    dark: Mask = _grey_sums(pixels) <= round(3 * threshold)
    return dark


def otsu_haematoxylin(pixels: Pixels) -> Mask:
    """Find the pixels with much haematoxylin, by Otsu's threshold of the image itself.

    Colours are unmixed with Ruifrok and Johnston's stains, as `skimage.color.rgb2hed` has them.
    No label is used.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)

    Returns
    -------
    ndarray of bool, shape (height, width)
        Empty for an image of one colour.
    """
    haematoxylin: NDArray[np.float32] = rgb2hed(pixels.astype(np.float32) / 255)[..., 0]
    threshold = threshold_otsu(haematoxylin)  # type: ignore[no-untyped-call]
    found: Mask = haematoxylin > threshold
    return found


def _dice_of_thresholds(pixels: Pixels, mask: Mask) -> Floats:
    """Compute Dice at each sum of red, green and blue: both counts grow along a histogram."""
    greys = _grey_sums(pixels)
    marked = np.bincount(greys.ravel(), minlength=_GREYS).cumsum()
    right = np.bincount(greys[mask], minlength=_GREYS).cumsum()
    both = marked + np.count_nonzero(mask)
    curve: Floats = np.divide(2 * right, both, out=np.ones(_GREYS), where=both > 0)
    return curve


def _grey_sums(pixels: Pixels) -> NDArray[np.uint16]:
    sums: NDArray[np.uint16] = pixels.sum(2, dtype=np.uint16)  # whole numbers: exact, and quick
    return sums
