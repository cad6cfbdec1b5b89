"""Classes that have an order, such as grades: a mistake counts by how far off it is."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from wsikd.errors import ConfigError
from wsikd.evaluation.metrics import Floats

ORDERED_METRICS = ("quadratic_kappa", "distance")


def check_order(run: str, classes: Sequence[str], ordered: Sequence[str]) -> None:
    """Check that an order names every class of a run once, and nothing else.

    Raises
    ------
    ConfigError
        If it does not.
    """
    named, known = Counter(ordered), set(classes)
    remedy = f"name each of {', '.join(classes)} once, from first to last"
    for name, count in named.items():
        if name not in known:
            raise ConfigError(f"--ordered: {name!r} is no class of {run}; {remedy}")
        if count > 1:
            raise ConfigError(f"--ordered: {name!r} is named {count} times; {remedy}")
    missing = [name for name in classes if name not in named]
    if missing:
        raise ConfigError(f"--ordered: lacks {missing[0]!r}, a class of {run}; {remedy}")


def score_order(confusion: ArrayLike, places: ArrayLike) -> dict[str, Floats]:
    """Compute `ORDERED_METRICS` for each matrix of a stack.

    Parameters
    ----------
    confusion : array, shape (..., K, K)
        Rows are the true class, columns the predicted one.
    places : array of int, shape (K,)
        The place of each class in the order.

    Returns
    -------
    dict of ndarray, shape (...)
        "quadratic_kappa" is Cohen's kappa with weights that grow with the squared distance [1]_: 1
        where all is right, 0 as by chance; NaN where one class alone is true and predicted.
        "distance" is the mean number of places between prediction and truth.

    References
    ----------
    .. [1] Cohen. "Weighted kappa: nominal scale agreement with provision for scaled disagreement
           or partial credit". Psychological Bulletin 70, 1968.

    Examples
    --------
    >>> scores = score_order([[1, 0, 1], [0, 2, 0], [0, 0, 0]], [0, 1, 2])
    >>> scores["distance"].item()  # one of four is two places off
    0.5
    """
    matrix, place = np.asarray(confusion, np.float64), np.asarray(places)
    apart = np.abs(place[:, None] - place)  # (K, K)
    total = matrix.sum((-2, -1))
    true, predicted = matrix.sum(-1), matrix.sum(-2)
    by_chance = np.einsum("...i,ij,...j->...", true, apart**2, predicted)
    observed = (matrix * apart**2).sum((-2, -1)) * total
    undefined = np.full(by_chance.shape, np.nan)
    share: Floats = np.divide(observed, by_chance, out=undefined, where=by_chance > 0)
    return {
        "quadratic_kappa": 1 - share,
        "distance": (matrix * apart).sum((-2, -1)) / total,
    }
