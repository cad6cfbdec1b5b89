"""Losses that teach a student what a teacher sees at a higher magnification.

Equations 1 to 3 of resolution-based distillation [1]_; the total is the sum of both losses. No
labels are used.

References
----------
.. [1] DiPalma, Suriawinata, Tafe, Torresani, Hassanpour. "Resolution-Based Distillation for
       Efficient Histology Image Classification". 2021. arXiv:2101.04170.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from wsikd.errors import ConfigError

FeatureMapLoss = Callable[[Tensor, Tensor], Tensor]
"""From student's and teacher's map, (B, C, h, w) and (B, C, H, W), to a loss of shape ()."""


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


def feature_map_loss(student_map: Tensor, teacher_map: Tensor, kind: str = "both") -> Tensor:
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
    if student_map.shape[1] != teacher_map.shape[1]:
        raise ConfigError(
            f"feature maps must have equal channels, got {student_map.shape[1]} of the student "
            f"and {teacher_map.shape[1]} of the teacher; use one architecture for both"
        )
    return FEATURE_MAP_LOSSES[kind](student_map, teacher_map.detach())


def _maxpool(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    return F.mse_loss(student_map, F.adaptive_max_pool2d(teacher_map, student_map.shape[2:]))


def _bicubic(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    size = student_map.shape[2:]
    resized = F.interpolate(teacher_map, size, mode="bicubic", align_corners=False)
    return F.mse_loss(student_map, resized)


def _both(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    return 0.5 * _maxpool(student_map, teacher_map) + 0.5 * _bicubic(student_map, teacher_map)


def _both_released(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    return 0.5 * _maxpool(student_map, teacher_map)


FEATURE_MAP_LOSSES: dict[str, FeatureMapLoss] = {
    "maxpool": _maxpool,
    "bicubic": _bicubic,
    "both": _both,
    "both-release": _both_released,
}
"""Name to loss. "maxpool" and "bicubic" are the paper's ablations; "both-release" is what the
published code computes when asked for both: half the max-pool term, the bicubic one never added."""
