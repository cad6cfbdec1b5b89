"""Losses that make two views of the same thing agree, without labels.

Every loss takes two projections of shape (N, D), of which equal rows belong together, and is a mean
over pairs, so that it does not grow with the batch. Across processes, `wsikd.losses.gather.gather`
brings all rows together first.

References
----------
.. [1] Bardes, Ponce, LeCun. "VICReg: Variance-Invariance-Covariance Regularization for
       Self-Supervised Learning". 2021. arXiv:2105.04906.
.. [2] Farndale, Insall, Yuan. "More From Less: Self-Supervised Knowledge Distillation for Routine
       Histopathology Data". 2023. arXiv:2303.10656.
.. [3] Chen, Kornblith, Norouzi, Hinton. "A Simple Framework for Contrastive Learning of Visual
       Representations". 2020. arXiv:2002.05709.
.. [4] Radford et al. "Learning Transferable Visual Models From Natural Language Supervision". 2021.
       arXiv:2103.00020.
.. [5] Zbontar, Jing, Misra, LeCun, Deny. "Barlow Twins: Self-Supervised Learning via Redundancy
       Reduction". 2021. arXiv:2103.03230.
.. [6] Farndale, Walsh, Insall, Yuan. "TriDeNT: Triple Deep Network Training for Privileged
       Knowledge Distillation in Histopathology". 2023. arXiv:2312.02111.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wsikd.errors import ConfigError

Convention = Literal["vicreg", "release"]
Objective = Callable[[Tensor, Tensor], dict[str, Tensor]]


class _Constants(NamedTuple):
    """How often a term is counted for the two branches, and how a variance is estimated."""

    invariance: float
    variance: float
    epsilon: float
    correction: int


_CONVENTIONS: dict[Convention, _Constants] = {
    "vicreg": _Constants(invariance=1.0, variance=0.5, epsilon=1e-4, correction=1),
    "release": _Constants(invariance=2.0, variance=1.0, epsilon=1e-5, correction=0),
}


def vicreg_loss(
    first: Tensor,
    second: Tensor,
    *,
    convention: Convention = "vicreg",
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
) -> dict[str, Tensor]:
    """Variance-invariance-covariance regularisation, equation 6 of [1]_.

    * invariance: mean squared difference of the two projections;
    * variance: how far each dimension's standard deviation over the batch stays below 1, the mean
      over dimensions;
    * covariance: sum of the squared covariances between different dimensions, divided by D.

    Parameters
    ----------
    first, second : Tensor, shape (N, D)
        Projections; gradients flow to both.
    convention : {"vicreg", "release"}
        "vicreg" is the reference code of [1]_, which takes the invariance as a mean over dimensions
        and the variance as the mean of both branches: the equation writes sums. "release" is the
        published code of [2]_, divided by N as that code sums over the batch: it counts the
        invariance twice and does not halve the variance, so that both weigh double beside the
        covariance, divides by N and not N - 1, and adds 1e-5 and not 1e-4 to a variance.
    invariance, variance, covariance : float
        Weights of the terms.

    Returns
    -------
    dict of str to Tensor, shape ()
        The weighted terms "invariance", "variance" and "covariance"; their sum is the loss.

    Raises
    ------
    ConfigError
        If there is one pair only, or the projections differ in shape.

    Examples
    --------
    >>> same = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    >>> {name: round(term.item(), 3) for name, term in vicreg_loss(same, same).items()}
    {'invariance': 0.0, 'variance': 16.035, 'covariance': 0.0}
    """
    _check(first, second, "vicreg")
    constants = _CONVENTIONS[convention]
    both = [_vary(projection, constants) for projection in (first, second)]
    return {
        "invariance": invariance * constants.invariance * F.mse_loss(first, second),
        "variance": variance * constants.variance * (both[0][0] + both[1][0]),
        "covariance": covariance * (both[0][1] + both[1][1]),
    }


def nt_xent_loss(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """Normalised temperature-scaled cross-entropy, equation 1 of SimCLR [3]_.

    Each of the 2 N projections is to be told from 2 N - 2 others, of both branches, by its cosine
    to its partner.

    Parameters
    ----------
    first, second : Tensor, shape (N, D)
        Projections; gradients flow to both.
    temperature : float
        Divides the cosines. No unit.

    Returns
    -------
    Tensor, shape ()
        Mean over the 2 N projections, in nats.

    Raises
    ------
    ConfigError
        If `temperature` is not positive, there is one pair only, or the projections differ in
        shape.
    """
    _check(first, second, "simclr")
    count = len(first)
    every = _unit(torch.cat([first, second]))  # (2 N, D)
    logits = every @ every.T / _positive(temperature)
    itself = torch.eye(2 * count, dtype=torch.bool, device=logits.device)
    partner = torch.arange(2 * count, device=logits.device).roll(count)
    return F.cross_entropy(logits.masked_fill(itself, -torch.inf), partner)


def info_nce_loss(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """Cross-entropy of finding the partner among the other branch's projections, as in CLIP [4]_.

    Unlike `nt_xent_loss`, projections of the same branch are not told apart. What [2]_ calls SimCLR
    is this in the later code of its authors [6]_.

    Parameters
    ----------
    first, second : Tensor, shape (N, D)
        Projections; gradients flow to both.
    temperature : float
        Divides the cosines. No unit.

    Returns
    -------
    Tensor, shape ()
        Mean of both directions, over the N pairs, in nats.

    Raises
    ------
    ConfigError
        If `temperature` is not positive, there is one pair only, or the projections differ in
        shape.
    """
    _check(first, second, "simclr-cross")
    logits = _unit(first) @ _unit(second).T / _positive(temperature)
    partner = torch.arange(len(first), device=logits.device)
    return (F.cross_entropy(logits, partner) + F.cross_entropy(logits.T, partner)) / 2


def barlow_twins_loss(
    first: Tensor, second: Tensor, off_diagonal: float = 5e-3
) -> dict[str, Tensor]:
    """Barlow Twins, equation 1 of [5]_: the branches' cross-correlation is to be the identity.

    Parameters
    ----------
    first, second : Tensor, shape (N, D)
        Projections; gradients flow to both. Each dimension is brought to mean 0 and standard
        deviation 1 over the batch.
    off_diagonal : float
        Weight of the correlations between different dimensions.

    Returns
    -------
    dict of str to Tensor, shape ()
        The weighted terms "invariance", sum of (1 - C_ii)², and "redundancy", sum of C_ij²; their
        sum is the loss.

    Raises
    ------
    ConfigError
        If there is one pair only, or the projections differ in shape.
    """
    _check(first, second, "barlow")
    first, second = _whiten(first), _whiten(second)
    correlations = (first * second).mean(0)  # of each dimension with itself
    others = _sum_squares(first, second) / len(first) ** 2 - correlations.square().sum()
    return {
        "invariance": (1 - correlations).square().sum(),
        "redundancy": off_diagonal * others,
    }


def triple_loss(
    objective: Objective, first: Tensor, second: Tensor, privileged: Tensor
) -> dict[str, Tensor]:
    """Mean of an objective over the three pairs of two primary views and a privileged one [6]_.

    Parameters
    ----------
    objective : callable
        Value of `OBJECTIVES`.
    first, second : Tensor, shape (N, D)
        Projections of two views of the primary image.
    privileged : Tensor, shape (N, D)
        Projections of the privileged image.

    Returns
    -------
    dict of str to Tensor, shape ()
        The objective's terms.
    """
    pairs = ((first, second), (first, privileged), (second, privileged))
    seen = [objective(*pair) for pair in pairs]
    return {name: torch.stack([terms[name] for terms in seen]).mean() for name in seen[0]}


def _check(first: Tensor, second: Tensor, name: str) -> None:
    if first.shape != second.shape:
        raise ConfigError(
            f"objective {name!r} needs projections of one shape, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}; use one expander layout for both branches"
        )
    if len(first) < 2:
        raise ConfigError(
            f"objective {name!r} needs at least 2 pairs in a batch, got {len(first)}; raise --batch"
        )


def _vary(projection: Tensor, constants: _Constants) -> tuple[Tensor, Tensor]:
    """Return the terms of one branch: too little variance, and covariance."""
    centred = projection - projection.mean(0)
    count = len(projection) - constants.correction
    variances = centred.square().sum(0) / count  # (D,)
    too_narrow = F.relu(1 - (variances + constants.epsilon).sqrt()).mean()
    others = _sum_squares(centred, centred) / count**2 - variances.square().sum()
    return too_narrow, others / projection.shape[1]


def _sum_squares(first: Tensor, second: Tensor) -> Tensor:
    """Sum the squares of firstᵀ second, shape (D, D), without it where D is above N.

    It is the trace of (first firstᵀ)(second secondᵀ), both of shape (N, N): at N = 128 and
    D = 8192, 1/32 of the operations and 1/2048 of the memory.
    """
    count, width = first.shape
    if count < width:
        return ((first @ first.T) * (second @ second.T)).sum()
    return (first.T @ second).square().sum()


def _unit(projection: Tensor) -> Tensor:
    # by PyTorch's own bound of 1e-12 a projection of zeros would have gradients of that inverse
    return F.normalize(projection, eps=1e-6)


def _whiten(projection: Tensor) -> Tensor:
    centred = projection - projection.mean(0)
    return centred / (centred.square().mean(0) + 1e-5).sqrt()


def _positive(temperature: float) -> float:
    if temperature <= 0:
        raise ConfigError(f"temperature must be above 0, got {temperature}")
    return temperature


def _simclr(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    return {"contrast": nt_xent_loss(first, second)}


def _simclr_cross(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    return {"contrast": info_nce_loss(first, second)}


OBJECTIVES: dict[str, Objective] = {
    "vicreg": vicreg_loss,
    "vicreg-release": partial(vicreg_loss, convention="release"),
    "simclr": _simclr,
    "simclr-release": _simclr_cross,
    "simclr-cross": _simclr_cross,
    "barlow": barlow_twins_loss,
}
"""Name to loss; each returns named terms, and their sum is minimised."""
