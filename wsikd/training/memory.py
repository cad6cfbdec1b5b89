"""How much memory a step takes, said before it is made, and which policy fits."""

import math
from itertools import pairwise
from typing import NamedTuple, Self
from weakref import WeakKeyDictionary

import torch

from wsikd.errors import TooLargeError
from wsikd.geometry import Size
from wsikd.models.footprint import count_peak
from wsikd.models.network import Network
from wsikd.models.policies import READING, Policy
from wsikd.words import bytes_text

REMEDY = (
    "use a lower magnification, a smaller --model, smaller regions "
    "(wsikd prepare --tissue.max-side-um), or a machine with more memory or a larger --memory-gib"
)

_SIDES = (1024, 2048)
_TILED_SIDES = (2048, 4096, 8192)  # of several bands


class _Line(NamedTuple):
    """Bytes that grow evenly with the pixels: so many each, and so many besides."""

    per_pixel: float
    besides: float

    @classmethod
    def through(cls, first: tuple[int, int], second: tuple[int, int]) -> Self:
        """Return the line through two counts, each of pixels and bytes."""
        slope = (second[1] - first[1]) / (second[0] - first[0])
        return cls(slope, first[1] - slope * first[0])


class _Counted(NamedTuple):
    """The peak is that of one part of a step or of another, so each is a line of its own."""

    lines: tuple[_Line, ...]
    least: int

    def at(self, pixels: int) -> int:
        return round(
            max(self.least, *(each.per_pixel * pixels + each.besides for each in self.lines))
        )


def predict_peak(model: Network, size: Size, policy: Policy, *, training: bool = True) -> int:
    """Predict the most memory that a region of that size takes, in bytes.

    Parameters
    ----------
    model : Network
        On any device; its own policy does not matter.
    size : Size
        Of the region in pixels. Regions read at once count by the pixels of all, padding included.
    policy : Policy
        How the network is to be computed, one of its policies.
    training : bool
        Whether it learns: then its gradients, those of a batch and of a step, and the two moments
        of Adam count, too.

    Returns
    -------
    int
        With the region as floats and the weights, but without what the program itself takes. What
        a library needs within an operation is not known: on a CPU a few hundredths.

    Examples
    --------
    >>> from wsikd.models import build_model
    >>> predict_peak(build_model("resnet10w32", 2), Size(8192, 8192), "plain") // 2**30
    10
    """
    counted = _count(model, policy, training=training)
    return standing_bytes(model, training=training) + counted.at(size.width * size.height)


def choose_policy(
    model: Network, size: Size, room_bytes: int, *, training: bool = True
) -> Policy | None:
    """Return the fastest policy of a network whose memory is there; None if none fits.

    Parameters
    ----------
    model : Network
        On any device; its own policy does not matter.
    size : Size
        As in `predict_peak`.
    room_bytes : int
        What all of it may take.
    training : bool
        Whether it learns.
    """
    needs = (
        (policy, predict_peak(model, size, policy, training=training))
        for policy in policies_of(model, training=training)
    )
    return next((policy for policy, needed in needs if needed <= room_bytes), None)


def least_policy(model: Network, size: Size, *, training: bool) -> Policy:
    """Return the policy of a network that takes least memory."""

    def needed(policy: Policy) -> int:
        return predict_peak(model, size, policy, training=training)

    return min(policies_of(model, training=training), key=needed)


def policies_of(model: Network, *, training: bool) -> tuple[Policy, ...]:
    """Return the policies that make a difference, from the fastest on."""
    return tuple(one for one in model.policies if training or one in READING)


def too_large(name: str, size: Size, needed: int, room_bytes: int, policy: Policy) -> TooLargeError:
    """Return the refusal of images that no policy fits; `policy` is the one that needs least."""
    return TooLargeError(
        f"{name}: {size.width} x {size.height} pixels must take at most the "
        f"{bytes_text(room_bytes)} that networks may, take {bytes_text(needed)} computed "
        f"{policy!r}, which takes least; {REMEDY}"
    )


def most_pixels(model: Network, room_bytes: int, policy: Policy, *, training: bool) -> int:
    """Compute how many pixels can be read at once; none if the weights alone are too many."""
    counted = _count(model, policy, training=training)
    room = room_bytes - standing_bytes(model, training=training)
    if room < counted.least:
        return 0
    return max(0, math.floor(min((room - one.besides) / one.per_pixel for one in counted.lines)))


def standing_bytes(model: Network, *, training: bool) -> int:
    """Count the bytes of weights, and of gradients and moments if it learns."""
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    return weights * (5 if training else 1)


def _count(model: Network, policy: Policy, *, training: bool) -> _Counted:
    known = _KNOWN.setdefault(model, {})
    kind = policy, training, model.precision, model.fused
    if kind not in known:
        tiled = policy == "tiled"
        counts = [
            (side**2, count_peak(model, Size(side, side), policy, training=training))
            for side in (_TILED_SIDES if tiled else _SIDES)
        ]
        lines = tuple(_Line.through(*each) for each in pairwise(counts))
        known[kind] = _Counted(lines, least=counts[0][1] if tiled else 0)
    return known[kind]


_Kind = tuple[Policy, bool, torch.dtype | None, bool]
_KNOWN: WeakKeyDictionary[Network, dict[_Kind, _Counted]] = WeakKeyDictionary()
"""What was counted, by network: shapes alone went through it, which takes 0.1 to 1 s each."""
