"""Random crops of fields: how many of each, and where."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsikd.data.fields.field import Field
from wsikd.geometry import Pixels, Size

MAX_GLASS = 0.3
"""Share of a slide's crop that may be bright, as published."""

_BRIGHT = 0.7 * 255  # in all channels: glass, as published
_ATTEMPTS = 20


def deal_crops(
    fields: Sequence[Field], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Choose the field of each crop, in random order.

    Systematic sampling: a field is cropped as often as its share of the area asks for, rounded
    down or up by chance; so fields of one size are cropped equally often, but for the rest.

    Examples
    --------
    >>> from pathlib import Path
    >>> from wsikd.data.fields.field import FileField
    >>> from wsikd.geometry import Region
    >>> def field(side):
    ...     return FileField(slide_id="a", region_id="image", box=Region(0, 0, Size(side, side)),
    ...         slide_mpp=None, size=Size(side, side), magnification=None,
    ...         light=(255.0, 255.0, 255.0), path=Path("a.png"))
    >>> dealt = deal_crops([field(10), field(10), field(20)], 12, np.random.default_rng(0))
    >>> np.bincount(dealt).tolist()
    [2, 2, 8]
    """
    areas = np.array([field.size.width * field.size.height for field in fields], np.float64)
    ends = count * np.cumsum(areas) / areas.sum()
    places = random.random() + np.arange(count)
    dealt = np.minimum(np.searchsorted(ends, places), len(fields) - 1)
    return random.permutation(dealt)


def draw_crop(
    field: Field, size: Size, random: np.random.Generator, *, glass: float = MAX_GLASS
) -> tuple[Pixels, tuple[int, int]]:
    """Draw a crop; of a slide one that is not mostly glass, if twenty attempts find any.

    Parameters
    ----------
    field : Field
        At least as large as `size`.
    size : Size
        Of the crop.
    random : Generator
        Decides where it lies.
    glass : float
        Share of its pixels whose channels are all above 0.7, at most. Images are not judged.

    Returns
    -------
    crop : ndarray of uint8, shape (height, width, 3)
    corner : tuple of int
        Its left and top in the field.
    """
    for _ in range(_ATTEMPTS):
        left = int(random.integers(field.size.width - size.width + 1))
        top = int(random.integers(field.size.height - size.height + 1))
        pixels = field.crop(left, top, size)
        if field.outline is None or float((pixels > _BRIGHT).all(axis=2).mean()) <= glass:
            break
    return pixels, (left, top)
