"""Which channel of the confidences shows nuclei, and from which confidence on, without labels.

The published code [1]_ picks the channel, and the epoch, by Dice on labelled images; it compares
the channels' Dice as text, here numbers are compared. And the stain decides: haematoxylin is bound
by nuclei, so the best of all channels and thresholds is the one that parts its optical density
best, by the share of its variance that lies between the two parts (the criterion of Otsu [2]_, over
the partitions that the network offers instead of those by the stain itself). Two things are known
of nuclei beside: they cover less than half of a tissue, and most are 3 to 20 µm wide.

References
----------
.. [1] Boserup, Selvan. "Efficient Self-Supervision using Patch-based Contrastive Learning for
       Histopathology Image Segmentation". 2023. arXiv:2208.10779.
.. [2] Otsu. "A Threshold Selection Method from Gray-Level Histograms". 1979.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2hed

from wsikd.geometry import Mpp, Pixels
from wsikd.nuclei.instances import label_instances
from wsikd.nuclei.objects import ObjectSettings, smooth

Floats = NDArray[np.floating[Any]]

LARGEST_SHARE = 0.5
"""Of the pixels that nuclei cover, at most."""

PLAUSIBLE_UM = (3.0, 20.0)
"""Median equivalent diameter of nuclei, in µm; that of most tissues is 6 to 10."""

_BINS = 1024
_LEAST_SCORE = 0.1


class Choice(NamedTuple):
    """A channel, on which side of a confidence its nuclei are, and how well it parts the target."""

    channel: int
    inverted: bool
    threshold: float
    score: float


def haematoxylin(pixels: Pixels) -> Floats:
    """Compute the haematoxylin of each pixel by colour deconvolution, shape (height, width)."""
    stains: Floats = rgb2hed(pixels)[..., 0]
    return stains


def rank_channels(
    confidences: Sequence[Floats], targets: Sequence[NDArray[Any]], *, labelled: bool = False
) -> list[Choice]:
    """Rank channels, and either side of a threshold of each, by how well they part a target.

    Parameters
    ----------
    confidences : sequence of ndarray, shape (K, h, w)
        Of some images.
    targets : sequence of ndarray, shape (h, w)
        Of the same images: the haematoxylin, or the true mask of nuclei.
    labelled : bool
        Whether targets are masks; then the score is the Dice coefficient, else the share of the
        haematoxylin's variance that the two parts explain. Either is a mean over images.

    Returns
    -------
    list of Choice
        The best threshold of each channel and side, the best first. Parts that cover more than half
        of the pixels are left out.
    """
    channels = confidences[0].shape[0]
    choices = [
        choice
        for channel in range(channels)
        for choice in _best_sides(
            [confidence[channel] for confidence in confidences], targets, channel, labelled=labelled
        )
    ]
    return sorted(choices, key=lambda choice: -choice.score)


def choose_channel(
    confidences: Sequence[Floats],
    targets: Sequence[NDArray[Any]],
    mpps: Sequence[Mpp | None],
    *,
    labelled: bool = False,
) -> tuple[Choice, bool | None]:
    """Choose the best channel whose objects are as large as nuclei.

    Parameters
    ----------
    confidences, targets, labelled
        As for `rank_channels`.
    mpps : sequence of Mpp or None
        µm per pixel of each image.

    Returns
    -------
    choice : Choice
        The best of those with objects as large as nuclei, and a score of at least a tenth; the best
        of all if there is none.
    is_nuclear_sized : bool or None
        Whether its objects are; None if µm per pixel are unknown.
    """
    ranked = rank_channels(confidences, targets, labelled=labelled)
    if all(mpp is None for mpp in mpps):
        return ranked[0], None
    telling = (choice for choice in ranked if choice.score >= _LEAST_SCORE)
    for choice in telling:
        if _is_nuclear_sized(choice, confidences, mpps):
            return choice, True
    return ranked[0], False


def stain_threshold(confidences: Sequence[Floats], stains: Sequence[Floats]) -> float | None:
    """Find the confidence from which on pixels are nucleus by their haematoxylin.

    Parameters
    ----------
    confidences, stains : sequences of ndarray, shape (h, w)
        That pixels are nucleus, and their haematoxylin, of some images of one slide.

    Returns
    -------
    float or None
        None if no threshold explains a tenth of the haematoxylin's variance, as on empty glass.
    """
    best, _ = _best_sides(confidences, stains, 0, labelled=False)
    return best.threshold if best.score >= _LEAST_SCORE else None


def nuclear_confidence(confidence: Floats, choice: Choice) -> Floats:
    """Compute the confidence that pixels are nucleus from that of all channels, (K, h, w)."""
    chosen: Floats = confidence[choice.channel]
    return 1 - chosen if choice.inverted else chosen


def _best_sides(
    confidences: Sequence[Floats], targets: Sequence[NDArray[Any]], channel: int, *, labelled: bool
) -> Iterator[Choice]:
    sums = [_sums(*pair) for pair in zip(confidences, targets, strict=True)]
    covered = np.mean([above / above[0] for above, _, _ in sums], axis=0)
    merit = _dice if labelled else _explained
    scores = np.mean([merit(*each) for each in sums], axis=0)  # (2, bins), both sides
    edges = np.arange(_BINS) / _BINS
    for inverted, share in ((False, covered), (True, 1 - covered)):
        allowed = np.where(share <= LARGEST_SHARE, scores[int(inverted)], -np.inf)
        best = int(allowed.argmax())
        threshold = 1 - edges[best] if inverted else edges[best]
        yield Choice(channel, inverted, float(threshold), float(allowed[best]))


def _sums(
    confidence: Floats, target: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Count pixels and their target from each bin of confidence on; also its sum of squares."""
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1).ravel()
    values = target.ravel().astype(np.float64)
    counts = np.bincount(bins, minlength=_BINS)
    sums = np.bincount(bins, weights=values, minlength=_BINS)
    above = (each[::-1].cumsum()[::-1].astype(np.float64) for each in (counts, sums))
    return (*above, float(values @ values))  # type: ignore[return-value]


def _explained(
    above: NDArray[np.float64], total_above: NDArray[np.float64], squares: float
) -> NDArray[np.float64]:
    """Compute the share of variance between the two sides of each bin, of the side with more."""
    count, total = above[0], total_above[0]
    below = count - above
    variance = squares / count - (total / count) ** 2
    both = (above > 0) & (below > 0) & (variance > 0)
    gap = np.zeros_like(above)
    np.divide(total_above, above, out=gap, where=both)
    gap -= np.divide(total - total_above, below, out=np.zeros_like(above), where=both)
    share = np.where(both, above * below * gap**2 / count**2 / max(variance, 1e-300), 0)
    return np.stack([np.where(gap > 0, share, 0), np.where(gap < 0, share, 0)])


def _dice(
    above: NDArray[np.float64], total_above: NDArray[np.float64], squares: float
) -> NDArray[np.float64]:
    """Compute Dice of each side of each bin with a mask; of nothing with nothing it is 1."""
    sides = ((above, total_above), (above[0] - above, total_above[0] - total_above))
    return np.stack(
        [
            np.divide(2 * hit, area + squares, out=np.ones_like(area), where=area + squares > 0)
            for area, hit in sides
        ]
    )


def _is_nuclear_sized(
    choice: Choice, confidences: Sequence[Floats], mpps: Sequence[Mpp | None]
) -> bool:
    widths = np.concatenate(
        [
            _diameters(nuclear_confidence(confidence, choice) > choice.threshold, mpp)
            for confidence, mpp in zip(confidences, mpps, strict=True)
            if mpp is not None
        ]
    )
    smallest, largest = PLAUSIBLE_UM
    return len(widths) > 0 and smallest <= float(np.median(widths)) <= largest


def _diameters(mask: NDArray[np.bool_], mpp: Mpp) -> NDArray[np.float64]:
    """Compute the equivalent diameters of the objects of a mask, in µm."""
    labels = label_instances(smooth(mask, mpp), ObjectSettings(), mpp)
    areas = np.bincount(labels.ravel())[1:]
    widths: NDArray[np.float64] = 2 * np.sqrt(areas[areas > 0] * mpp.x * mpp.y / np.pi)
    return widths
