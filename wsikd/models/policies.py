"""Ways to compute a network, from the fastest to the one that needs least memory."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Policy = Literal["plain", "recompute", "checkpoint", "tiled"]

POLICIES: tuple[Policy, ...] = ("plain", "recompute", "checkpoint", "tiled")
"""What is kept for the backward pass:

* plain: every map, as PyTorch does it.
* recompute: what the convolutions return; norm, ReLU and the stem's pooling are computed again.
* checkpoint: what the blocks return; everything within a block, and the stem, is computed again.
* tiled: as checkpoint, and the stem's maps at half of the resolution never exist as a whole.

The gradients are the same: bit by bit on a CPU, but those of a tiled stem up to rounding. Without
gradients nothing is kept, so that a tiled stem alone makes a difference.
"""

READING: tuple[Policy, ...] = ("plain", "tiled")
"""Those that differ without gradients."""


def compute_again(compute: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Compute something of an image, and keep the image alone for the backward pass.

    All that the backward pass needs besides is then computed once more.

    Parameters
    ----------
    compute : callable
        Does the same each time: nothing in it is drawn at random, and nothing counts batches.
    image : Tensor
        Handed to it.
    """
    if not torch.is_grad_enabled():
        return compute(image)
    result: Tensor = checkpoint(compute, image, use_reentrant=False, preserve_rng_state=False)
    return result
