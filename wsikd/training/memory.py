"""How much memory a step takes, said before it is made, and which policy fits."""

from itertools import pairwise
from typing import NamedTuple, Self
from weakref import WeakKeyDictionary

from wsikd.errors import TooLargeError
from wsikd.geometry import Size
from wsikd.models.footprint import count_peak
from wsikd.models.network import Network
from wsikd.models.policies import READING, Policy

_SIDES = (1024, 2048)
_TILED_SIDES = (2048, 4096, 8192)  # of several bands
_GIB = 2**30


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
        Whether it learns: then its gradients and the two moments of Adam count, too.

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
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    standing = weights * (4 if training else 1)
    return standing + counted.at(size.width * size.height)


def choose_policy(
    model: Network, size: Size, room_bytes: int, *, name: str, training: bool = True
) -> Policy:
    """Return the fastest policy of a network whose memory is there.

    Parameters
    ----------
    model : Network
        On any device; its own policy does not matter.
    size : Size
        As in `predict_peak`.
    room_bytes : int
        What all of it may take.
    name : str
        Of the region, for the message.
    training : bool
        Whether it learns.

    Raises
    ------
    TooLargeError
        If none fits.
    """
    policies = model.policies if training else [one for one in model.policies if one in READING]
    for policy in policies:
        needed = predict_peak(model, size, policy, training=training)
        if needed <= room_bytes:
            return policy
    raise TooLargeError(
        f"{name}: {'learning from' if training else 'reading'} {size.width} x {size.height} pixels "
        f"must take at most the {room_bytes / _GIB:.1f} GiB there are, needs "
        f"{needed / _GIB:.1f} even computed {policies[-1]!r}; use a lower magnification, a smaller "
        "model, smaller regions or a machine with more memory"
    )


def _count(model: Network, policy: Policy, *, training: bool) -> _Counted:
    known = _KNOWN.setdefault(model, {})
    if (policy, training) not in known:
        tiled = policy == "tiled"
        counts = [
            (side**2, count_peak(model, Size(side, side), policy, training=training))
            for side in (_TILED_SIDES if tiled else _SIDES)
        ]
        lines = tuple(_Line.through(*each) for each in pairwise(counts))
        known[policy, training] = _Counted(lines, least=counts[0][1] if tiled else 0)
    return known[policy, training]


_KNOWN: WeakKeyDictionary[Network, dict[tuple[Policy, bool], _Counted]] = WeakKeyDictionary()
"""What was counted, by network: shapes alone went through it, which takes 0.1 to 1 s each."""
