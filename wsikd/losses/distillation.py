"""Losses that teach a student what a teacher sees at a higher magnification.

Equations 1 to 3 of resolution-based distillation [1]_; the total is the sum of both losses. No
labels are used.

References
----------
.. [1] DiPalma, Suriawinata, Tafe, Torresani, Hassanpour. "Resolution-Based Distillation for
       Efficient Histology Image Classification". 2021. arXiv:2101.04170.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wsikd.errors import ConfigError
from wsikd.geometry import Size

Resizing = Callable[[Tensor, tuple[int, int]], Tensor]
"""From the teacher's map, (B, C, H, W), and a size (h, w) to a map of that size, (B, C, h, w)."""


def soft_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0
) -> Tensor:
    """Kullback-Leibler divergence from the teacher's softened classes to the student's.

    Equation 2: T² · KL(softmax(teacher / T) ‖ softmax(student / T)). The paper names no
    temperature; 1 is the value of its published code.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor, shape (B, K)
        Scores before the softmax. No gradient flows to the teacher.
    temperature : float
        Divides the logits; above 1 it softens both distributions. No unit.

    Returns
    -------
    Tensor, shape ()
        Mean over the batch, in nats, times `temperature` squared so that its gradient keeps its
        size when the temperature changes.

    Raises
    ------
    ConfigError
        If `temperature` is not positive.

    References
    ----------
    .. [1] Hinton, Vinyals, Dean. "Distilling the Knowledge in a Neural Network". 2015.
           arXiv:1503.02531.

    Examples
    --------
    >>> import torch
    >>> soft_target_loss(torch.zeros(2, 3), torch.zeros(2, 3), temperature=4.0).item()
    0.0
    """
    if temperature <= 0:
        raise ConfigError(f"temperature must be above 0, got {temperature}")
    return temperature**2 * F.kl_div(
        F.log_softmax(student_logits / temperature, dim=1),
        F.log_softmax(teacher_logits.detach() / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def feature_map_loss(
    student_map: Tensor,
    teacher_map: Tensor,
    kind: str = "both",
    *,
    student_sizes: Sequence[Size] | None = None,
    teacher_sizes: Sequence[Size] | None = None,
) -> Tensor:
    """Mean squared error to the teacher's feature map, brought to the size of the student's.

    Equation 3, "both": the mean of the errors to the max-pooled and to the bicubic teacher map. The
    paper writes a squared norm; its published code takes the mean over channels and pixels, which
    is followed here because a sum would grow with the region.

    Parameters
    ----------
    student_map : Tensor, shape (B, C, h, w)
        Output of the last stage.
    teacher_map : Tensor, shape (B, C, H, W)
        The same of the teacher. No gradient flows to it.
    kind : str
        Key of `FEATURE_MAP_LOSSES`.
    student_sizes, teacher_sizes : sequence of Size, optional
        Of each image's part of the map, which is 0 beyond; all fill it without. Each image counts
        alike, whatever its size.

    Returns
    -------
    Tensor, shape ()

    Raises
    ------
    ConfigError
        If the maps differ in channels.

    Notes
    -----
    Bicubic interpolation is not anti-aliased, as published: strongly reduced, it samples points,
    and it can go below 0 although no feature map does.

    Examples
    --------
    >>> import torch
    >>> teacher_map = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> feature_map_loss(torch.zeros(1, 1, 1, 1), teacher_map, "maxpool").item()
    9.0
    """
    resized = resize_feature_map(
        teacher_map.detach(),
        (student_map.shape[2], student_map.shape[3]),
        FEATURE_MAP_LOSSES[kind],
        sizes=student_sizes,
        teacher_sizes=teacher_sizes,
    )
    return resized_map_loss(student_map, resized, kind, sizes=student_sizes)


def resize_feature_map(
    teacher_map: Tensor,
    size: tuple[int, int],
    names: Iterable[str],
    *,
    sizes: Sequence[Size] | None = None,
    teacher_sizes: Sequence[Size] | None = None,
) -> dict[str, Tensor]:
    """Bring the teacher's map to the size of the student's, in each of several ways.

    Parameters
    ----------
    teacher_map : Tensor, shape (B, C, H, W)
        Output of the last stage.
    size : tuple of int
        Height and width (h, w) of the student's map.
    names : iterable of str
        Keys of `RESIZINGS`.
    sizes, teacher_sizes : sequence of Size, optional
        Of each image's part of the student's and of the teacher's map; all fill it without.

    Returns
    -------
    dict of Tensor, shape (B, C, h, w)
        By name; 0 beyond each image's part. A loss depends on the teacher's map through these
        alone.
    """
    if sizes is None and teacher_sizes is None:
        return {name: RESIZINGS[name](teacher_map, size) for name in names}
    own = _parts(teacher_map, teacher_sizes)
    # the student's sizes as those of arrays
    aims = [size] * len(own) if sizes is None else [(one.height, one.width) for one in sizes]
    resized = {
        name: [RESIZINGS[name](one, aim)[0] for one, aim in zip(own, aims, strict=True)]
        for name in names
    }
    return {name: pad_maps(maps) for name, maps in resized.items()}


def pad_maps(maps: Sequence[Tensor]) -> Tensor:
    """Put maps of shape (C, h, w) into one of shape (B, C, H, W), 0 beyond each of them."""
    height, width = (max(one.shape[axis] for one in maps) for axis in (1, 2))
    sizes = [(width - one.shape[2], height - one.shape[1]) for one in maps]
    return torch.stack(
        [F.pad(one, (0, wide, 0, high)) for one, (wide, high) in zip(maps, sizes, strict=True)]
    )


def resized_map_loss(
    student_map: Tensor,
    resized: Mapping[str, Tensor],
    kind: str = "both",
    *,
    sizes: Sequence[Size] | None = None,
) -> Tensor:
    """Compute `feature_map_loss` from teacher's maps that are of the student's size already.

    Parameters
    ----------
    student_map : Tensor, shape (B, C, h, w)
        Output of the last stage.
    resized : mapping of str to Tensor, shape (B, C, h, w)
        From `resize_feature_map`; those that `kind` needs are among them.
    kind : str
        Key of `FEATURE_MAP_LOSSES`.
    sizes : sequence of Size, optional
        Of each image's part of all these maps, which are 0 beyond; all fill them without.

    Returns
    -------
    Tensor, shape ()

    Raises
    ------
    ConfigError
        If the maps differ in channels.
    """
    terms = []
    for name, weight in FEATURE_MAP_LOSSES[kind].items():
        if student_map.shape[1] != resized[name].shape[1]:
            raise ConfigError(
                f"feature maps must have equal channels, got {student_map.shape[1]} of the student "
                f"and {resized[name].shape[1]} of the teacher; use one architecture for both"
            )
        terms.append(weight * _mean_squared_error(student_map, resized[name], sizes))
    return torch.stack(terms).sum()


def _parts(maps: Tensor, sizes: Sequence[Size] | None) -> list[Tensor]:
    """Return each image's part of the maps, shape (1, C, its height, its width)."""
    if sizes is None:
        return [one[None] for one in maps]
    return [
        one[None, :, : size.height, : size.width] for one, size in zip(maps, sizes, strict=True)
    ]


def _mean_squared_error(
    student_map: Tensor, resized: Tensor, sizes: Sequence[Size] | None
) -> Tensor:
    """Return the mean over images of each one's mean over its channels and pixels."""
    if sizes is None:
        return F.mse_loss(student_map, resized)
    counts = [student_map.shape[1] * size.width * size.height for size in sizes]
    sums = F.mse_loss(student_map, resized, reduction="none").sum((1, 2, 3))
    return (sums / torch.tensor(counts, dtype=sums.dtype, device=sums.device)).mean()


def _maxpool(teacher_map: Tensor, size: tuple[int, int]) -> Tensor:
    return F.adaptive_max_pool2d(teacher_map, size)


def _bicubic(teacher_map: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(teacher_map, size, mode="bicubic", align_corners=False)


RESIZINGS: dict[str, Resizing] = {
    "maxpool": _maxpool,
    "bicubic": _bicubic,
}
"""Name to how a teacher's map is brought to the size of the student's."""

FEATURE_MAP_LOSSES: dict[str, dict[str, float]] = {
    "maxpool": {"maxpool": 1.0},
    "bicubic": {"bicubic": 1.0},
    "both": {"maxpool": 0.5, "bicubic": 0.5},
    "both-release": {"maxpool": 0.5},
}
"""Name to the weight of the mean squared error to each resized map. "maxpool" and "bicubic" are the
paper's ablations; "both-release" is what the published code computes when asked for both: half the
max-pool term, the bicubic one never added."""
