"""Learning from labels: cross-entropy, in which rare classes may count as much as common ones."""

from collections import Counter
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def cross_entropy_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of labels under the softmax of the logits.

    Parameters
    ----------
    logits : Tensor, shape (B, K)
        Scores before the softmax.
    labels : Tensor of int, shape (B,)
        The right class of each item.
    weights : Tensor, shape (B,), optional
        How much each item counts. The sum is divided by B and not by the weights: of a batch of
        one item they would cancel out.

    Returns
    -------
    Tensor, shape ()
        Mean over the batch, in nats.

    Examples
    --------
    >>> import torch
    >>> round(cross_entropy_loss(torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)  # ln 4
    1.3863
    """
    if weights is None:
        return F.cross_entropy(logits, labels)
    return (weights * F.cross_entropy(logits, labels, reduction="none")).mean()


def balanced_weights(labels: Sequence[str]) -> dict[str, float]:
    """Return what an item of each class counts, so that all classes count alike.

    With n items, K classes among them and n_c items of class c it is n / (K n_c). The mean over
    all items is 1; so the weighted mean of a loss is the mean over classes of each class's mean.

    Examples
    --------
    >>> balanced_weights(["a", "b", "b", "b"])
    {'a': 2.0, 'b': 0.6666666666666666}
    """
    counts = Counter(labels)
    return {label: len(labels) / (len(counts) * count) for label, count in sorted(counts.items())}
