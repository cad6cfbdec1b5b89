"""Linear CKA: how alike the layers of networks represent the same images.

Centred kernel alignment is 1 for features that differ by a rotation and a scale only. Its usual
estimate is biased upwards when images are few beside channels; the one here is not, so that it
can be averaged over small batches, and images that are shuffled on one side have 0 on average.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsikd.errors import ConfigError
from wsikd.evaluation.metrics import Floats
from wsikd.explain.layers import watching
from wsikd.models import Network

FEWEST_IMAGES = 4  # the unbiased estimate divides by n - 3
_CHUNK = 2**22  # values that are in memory in double precision
_ROUNDING = 1e-12  # share of the features' square; float32 leaves about 1e-14


class Similarity(NamedTuple):
    """CKA of every layer of every run with every other.

    Attributes
    ----------
    layers : tuple of tuple of str
        Names of every run's layers; their numbers L of all runs add up to N.
    observed : ndarray of float, shape (N, N)
        Of the layers of all runs, one run after the other.
    shuffled : ndarray of float, shape (S, N, N)
        The same after the images of the second axis were shuffled, S times: by chance alone.
    images : int
        How many were read.
    """

    layers: tuple[tuple[str, ...], ...]
    observed: Floats
    shuffled: Floats
    images: int

    def between(self, first: Iterable[int], second: Iterable[int]) -> tuple[Floats, Floats]:
        """Return `observed` and `shuffled` of some runs with others.

        Parameters
        ----------
        first, second : iterable of int
            Places of R and Q runs; those of one side have equally many layers, L and M.

        Returns
        -------
        observed : ndarray of float, shape (R, Q, L, M)
        shuffled : ndarray of float, shape (S, R, Q, L, M)
        """
        rows = self._places(first)[:, None, :, None]
        columns = self._places(second)[None, :, None, :]
        return self.observed[rows, columns], self.shuffled[:, rows, columns]

    def _places(self, runs: Iterable[int]) -> NDArray[np.intp]:
        """Return the rows of the runs' layers, shape (R, L)."""
        stops = np.cumsum([len(names) for names in self.layers])
        return np.array([np.arange(stops[run] - len(self.layers[run]), stops[run]) for run in runs])


def linear_gram(features: Tensor) -> Floats:
    """Compute the inner products of images' features, less what is a matter of their means.

    Parameters
    ----------
    features : Tensor, shape (n, ...)
        One image a row, of any further shape.

    Returns
    -------
    ndarray of float64, shape (n, n)
        U-centred [1]_: the diagonal is 0, and so is the sum of every row. All 0 for features that
        differ by the rounding of float32 only.

    Raises
    ------
    ConfigError
        If there are fewer than four images.

    References
    ----------
    .. [1] Szekely, Rizzo. "Partial distance correlation with methods for dissimilarities". 2013.
           arXiv:1310.2926.

    Examples
    --------
    >>> linear_gram(torch.tensor([[0.0], [1.0], [2.0], [3.0]])).round(3).tolist()[0]
    [0.0, 1.167, -0.333, -0.833]
    """
    count = len(features)
    if count < FEWEST_IMAGES:
        raise ConfigError(f"images for CKA must be at least {FEWEST_IMAGES} a batch, got {count}")
    gram = features.new_zeros((count, count), dtype=torch.float64)
    energy = 0.0
    flat, step = features.flatten(1), max(1, _CHUNK // count)
    for start in range(0, flat.shape[1], step):
        values = flat[:, start : start + step].double()
        energy += float(values.square().sum())
        values = values - values.mean(0)  # changes the rounding only
        gram += values @ values.T
    if float(gram.trace()) <= _ROUNDING * energy:
        return np.zeros((count, count))
    return _u_centre(gram.cpu().numpy())


def unbiased_hsic(first: Floats, second: Floats) -> float:
    """Estimate the dependence of two sets of features of the same images: HSIC_1 of [1]_.

    Parameters
    ----------
    first, second : ndarray of float, shape (n, n)
        From `linear_gram`.

    References
    ----------
    .. [1] Song, Smola, Gretton, Bedo, Borgwardt. "Feature Selection via Dependence Maximization".
           Journal of Machine Learning Research 13. 2012. Equation 5.
    """
    count = len(first)
    return float((first * second).sum() / (count * (count - 3)))


@torch.no_grad()
def compare_layers(
    models: Sequence[Network],
    batches: Iterable[Sequence[Tensor]],
    *,
    shuffles: int = 100,
    seed: int = 0,
) -> Similarity:
    """Compare all layers of all networks on the same images, batch by batch [1]_.

    The HSIC of every pair of layers is averaged over the batches, each weighing as much as it has
    images, and CKA is made of the averages. So images need not fit into memory together; deal them
    into batches at random, as only differences within a batch count.

    Parameters
    ----------
    models : sequence of Network
        Put into eval mode. They may have different stages.
    batches : iterable of sequence of Tensor, shape (n, 3, H, W)
        The same images for every network, standardised for it and on its device; at least 4 in a
        batch and of one size.
    shuffles : int
        S, how often the images of one side are shuffled, the same way for all pairs.
    seed : int
        Of the shuffling.

    Raises
    ------
    ConfigError
        If a batch has fewer than four images.

    Notes
    -----
    Where a layer has the same features for every image, its values are NaN.

    References
    ----------
    .. [1] Nguyen, Raghu, Kornblith. "Do Wide and Deep Networks Learn the Same Things?". 2020.
           arXiv:2010.15327.
    """
    layers = tuple(tuple(model.stages()) for model in models)
    rows = sum(map(len, layers))
    observed, shuffled = np.zeros((rows, rows)), np.zeros((shuffles, rows, rows))
    images, random = 0, np.random.default_rng(seed)
    for batch in batches:
        pairs = zip(models, batch, strict=True)
        grams = np.concatenate([_layer_grams(model, view) for model, view in pairs])
        count = grams.shape[1]
        grams /= np.sqrt(count - 3)  # n images weigh n, and HSIC divides by n (n - 3)
        flat = grams.reshape(rows, -1)
        observed += flat @ flat.T
        for number in range(shuffles):
            order = random.permutation(count)
            shuffled[number] += flat @ grams[:, order][:, :, order].reshape(rows, -1).T
        images += count
    norms = np.sqrt(observed.diagonal())
    scale = np.where(np.outer(norms, norms) > 0, np.outer(norms, norms), np.nan)
    return Similarity(layers, observed / scale, shuffled / scale, images)


def _layer_grams(model: Network, images: Tensor) -> Floats:
    """Compute the Gram matrices of all layers, shape (L, n, n); one map is kept at a time."""
    grams: dict[str, Floats] = {}

    def look(name: str, output: Tensor) -> None:
        grams[name] = linear_gram(output)

    layers = model.eval().stages()
    with watching(layers, look):
        model.embed(images)
    return np.stack([grams[name] for name in layers])


def _u_centre(gram: Floats) -> Floats:
    count = len(gram)
    gram = gram - np.diag(np.diag(gram))
    rows = gram.sum(1) / (count - 2)
    centred: Floats = gram - rows - rows[:, None] + rows.sum() / (count - 1)
    np.fill_diagonal(centred, 0.0)
    return centred
