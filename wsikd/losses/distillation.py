"""Losses that teach a student what a teacher sees at a higher magnification.

Equations 1 to 3 of resolution-based distillation [1]_; the total is the sum of both losses. No
labels are used.

References
----------
.. [1] DiPalma, Suriawinata, Tafe, Torresani, Hassanpour. "Resolution-Based Distillation for
       Efficient Histology Image Classification". 2021. arXiv:2101.04170.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wsikd.errors import ConfigError

FeatureMapKind = Literal["maxpool", "bicubic", "both", "release"]


def soft_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0
) -> Tensor:
    """Kullback-Leibler divergence from the teacher's softened classes to the student's.

    Equation 2: T² · KL(softmax(teacher / T) ‖ softmax(student / T)). The paper gives no
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
    student_map: Tensor, teacher_map: Tensor, kind: FeatureMapKind = "both"
) -> Tensor:
    """Mean squared error to the teacher's feature map, brought to the size of the student's.

    Equation 3: the mean of the errors to the max-pooled and to the bicubic teacher map. The paper
    writes a squared norm; its published code takes the mean over channels and pixels, which is
    followed here because a sum would grow with the region.

    Parameters
    ----------
    student_map : Tensor, shape (B, C, h, w)
        Output of the last stage.
    teacher_map : Tensor, shape (B, C, H, W)
        The same of the teacher. No gradient flows to it.
    kind : {"both", "maxpool", "bicubic", "release"}
        "maxpool" and "bicubic" are the paper's ablations. "release" is what the published code
        computes when asked for both: half the max-pool term, the bicubic one never added.

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
    >>> teacher_map = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> feature_map_loss(torch.zeros(1, 1, 1, 1), teacher_map, "maxpool").item()
    9.0
    """
    if student_map.shape[1] != teacher_map.shape[1]:
        raise ConfigError(
            f"feature maps must have equal channels, got {student_map.shape[1]} of the student "
            f"and {teacher_map.shape[1]} of the teacher; use one architecture for both"
        )
    size = (student_map.shape[2], student_map.shape[3])
    teacher_map = teacher_map.detach()
    terms = [
        weight * F.mse_loss(student_map, resize(teacher_map, size))
        for resize, weight in _WEIGHTS[kind].items()
    ]
    return torch.stack(terms).sum()


def _max_pool(feature_map: Tensor, size: tuple[int, int]) -> Tensor:
    return F.adaptive_max_pool2d(feature_map, size)


def _bicubic(feature_map: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(feature_map, size, mode="bicubic", align_corners=False)


_Resize = Callable[[Tensor, tuple[int, int]], Tensor]
_WEIGHTS: dict[FeatureMapKind, dict[_Resize, float]] = {
    "maxpool": {_max_pool: 1.0},
    "bicubic": {_bicubic: 1.0},
    "both": {_max_pool: 0.5, _bicubic: 0.5},
    "release": {_max_pool: 0.5},
}
