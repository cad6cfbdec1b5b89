"""Scores of segmented nuclei: of pixels, of outlines and of objects.

Where neither image has a nucleus every score is 1; any other ratio without a denominator is 0.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from wsikd.evaluation.metrics import Floats

NUCLEI_METRICS = ("dice", "aji", "precision", "recall", "f1", "pq")

Mask = NDArray[np.bool_]
Instances = NDArray[np.integer[Any]]
Counts = NDArray[np.int64]

_MATCHED = 0.5  # above it a nucleus can match one other at most


class Overlaps(NamedTuple):
    """The pairs of a predicted and a true nucleus that share pixels, and the area of each nucleus.

    Attributes
    ----------
    prediction, truth : ndarray of int, shape (pairs,)
        Which nucleus, as a place in the areas; pairs are sorted by the true nucleus.
    shared : ndarray of int, shape (pairs,)
        Pixels.
    prediction_areas, truth_areas : ndarray of int, shape (nuclei,)
        Pixels, in the order of the numbers in the images.
    """

    prediction: Counts
    truth: Counts
    shared: Counts
    prediction_areas: Counts
    truth_areas: Counts

    @property
    def union(self) -> Counts:
        """Pixels that either of a pair covers."""
        return self.prediction_areas[self.prediction] + self.truth_areas[self.truth] - self.shared

    @property
    def iou(self) -> Floats:
        """Intersection over union of each pair."""
        return self.shared / self.union


def score_nuclei(mask: Mask, instances: Instances, truth: Instances) -> dict[str, float]:
    """Compute every metric of `NUCLEI_METRICS`.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
        Predicted nuclei, before they are parted; Dice is computed from it.
    instances : ndarray of int, shape (height, width)
        Predicted nuclei, 0 background; what else is scored.
    truth : ndarray of int, shape (height, width)
        True nuclei, 0 background. Numbers may have gaps.
    """
    overlaps = find_overlaps(instances, truth)
    return {
        "dice": dice(mask, truth > 0),
        "aji": aggregated_jaccard(overlaps),
        **object_scores(overlaps),
    }


def dice(prediction: Mask, truth: Mask) -> float:
    """Compute twice the shared pixels over the pixels of both; 1 where both are empty.

    Examples
    --------
    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(truth))
    return 2 * int(np.count_nonzero(prediction & truth)) / total if total else 1.0


def find_overlaps(prediction: Instances, truth: Instances) -> Overlaps:
    """Find which nuclei of two images overlap, in time linear in the pixels.

    Parameters
    ----------
    prediction, truth : ndarray of int, shape (height, width)
        0 is background.

    Examples
    --------
    >>> found = find_overlaps(np.array([[0, 7, 7, 2]]), np.array([[1, 1, 3, 0]]))
    >>> found.prediction.tolist(), found.truth.tolist(), found.shared.tolist()
    ([1, 1], [0, 1], [1, 1])
    >>> found.prediction_areas.tolist(), found.truth_areas.tolist()
    ([1, 2], [2, 1])
    """
    assert prediction.shape == truth.shape, (prediction.shape, truth.shape)
    predicted_at, prediction_areas = _number(prediction)
    truth_at, truth_areas = _number(truth)
    both = (predicted_at >= 0) & (truth_at >= 0)
    pairs = truth_at[both], predicted_at[both]
    ones = np.ones(np.count_nonzero(both), np.int64)
    table = sparse.coo_matrix((ones, pairs), shape=(len(truth_areas), len(prediction_areas)))
    table = table.tocsr().tocoo()  # sums pixels of one pair
    return Overlaps(
        table.col.astype(np.int64),
        table.row.astype(np.int64),
        table.data,
        prediction_areas,
        truth_areas,
    )


def aggregated_jaccard(overlaps: Overlaps) -> float:
    """Compute the Aggregated Jaccard Index as it was published [1]_.

    Every true nucleus takes the prediction of the largest intersection over union (of equal ones
    the one of the lowest number); intersections and unions are summed, predictions that no one
    took are added to the unions, and so are true nuclei that nothing overlaps. As published, and
    unlike "AJI+", a prediction can be taken by several true nuclei, which counts against nuclei
    that are not parted.

    References
    ----------
    .. [1] Kumar et al. "A Dataset and a Technique for Generalized Nuclear Segmentation for
           Computational Pathology". 2017. Algorithm 1.
    """
    best = np.lexsort((overlaps.prediction, -overlaps.iou, overlaps.truth))
    first = best[np.flatnonzero(np.diff(overlaps.truth[best], prepend=-1))]  # of each true nucleus
    left_over, missed = overlaps.prediction_areas.copy(), overlaps.truth_areas.copy()
    left_over[overlaps.prediction[first]] = 0
    missed[overlaps.truth[first]] = 0
    union = int(overlaps.union[first].sum() + left_over.sum() + missed.sum())
    return int(overlaps.shared[first].sum()) / union if union else 1.0


def object_scores(overlaps: Overlaps) -> dict[str, float]:
    """Compute precision, recall, F1 and panoptic quality of nuclei.

    A predicted nucleus is right if its intersection over union with a true one is above 0.5; no
    nucleus can be above it with two others, so pairs need no choice. Panoptic quality [1]_ is F1
    times the mean intersection over union of the pairs.

    References
    ----------
    .. [1] Kirillov et al. "Panoptic Segmentation". 2019. arXiv:1801.00868.
    """
    matched = overlaps.iou[overlaps.iou > _MATCHED]
    right, predicted, true = map(len, (matched, overlaps.prediction_areas, overlaps.truth_areas))
    if predicted == true == 0:
        return dict.fromkeys(("precision", "recall", "f1", "pq"), 1.0)
    both = predicted + true
    return {
        "precision": right / predicted if predicted else 0.0,
        "recall": right / true if true else 0.0,
        "f1": 2 * right / both,
        "pq": 2 * float(matched.sum()) / both,
    }


def _number(instances: Instances) -> tuple[Counts, Counts]:
    """Find each pixel's nucleus, counted from 0 without gaps (background -1), and the areas."""
    counts = np.bincount(instances.ravel())
    counts[:1] = 0
    numbers = np.cumsum(counts > 0) - 1
    numbers[counts == 0] = -1
    return numbers[instances.ravel()], counts[counts > 0]
