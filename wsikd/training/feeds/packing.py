"""Putting regions of unequal sizes into few batches, of which little is padding."""

from collections.abc import Sequence

from wsikd.geometry import Size

_MOST_PADDED = 1.3  # times the pixels of the regions themselves


def pack(sizes: Sequence[Size], budget: float) -> list[list[int]]:
    """Deal images into batches.

    Each goes, from the largest to the smallest, to the batch that it makes least larger, as long
    as the padded batch stays within the budget and is at most 1.3 times its images; else it begins
    another. An image that is above the budget by itself is alone.

    Parameters
    ----------
    sizes : sequence of Size
        Of the images.
    budget : float
        Pixels of a batch, those of the padding among them; 0 leaves every image alone.

    Returns
    -------
    list of list of int
        The places of the images. Where nothing is put together they are in their order.

    Examples
    --------
    >>> pack([Size(10, 10), Size(90, 90), Size(9, 10)], budget=10_000)
    [[1], [0, 2]]
    >>> pack([Size(10, 10), Size(90, 90)], budget=0)
    [[0], [1]]
    """
    if budget <= 0:
        return [[place] for place in range(len(sizes))]
    batches: list[_Open] = []
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place].area):
        fitting = [batch for batch in batches if batch.fits(sizes[place], budget)]
        if fitting:
            min(fitting, key=lambda batch: batch.growth(sizes[place])).add(place, sizes[place])
        else:
            batches.append(_Open(place, sizes[place]))
    return [batch.places for batch in batches]


def deal(sizes: Sequence[Size], count: int) -> list[list[int]]:
    """Deal images to processes, so that each has about as many pixels.

    From the largest to the smallest, each goes to the process that has least.

    Returns
    -------
    list of list of int
        For each process the places of its images, in their order; there may be none.

    Examples
    --------
    >>> deal([Size(10, 10), Size(30, 10), Size(10, 20)], count=2)
    [[1], [0, 2]]
    """
    loads, parts = [0] * count, [list[int]() for _ in range(count)]
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place].area):
        least = loads.index(min(loads))
        loads[least] += sizes[place].area
        parts[least].append(place)
    return [sorted(part) for part in parts]


class _Open:
    """A batch that others may still join."""

    def __init__(self, place: int, size: Size) -> None:
        self.places, self._size, self._pixels = [place], size, size.area

    def fits(self, size: Size, budget: float) -> bool:
        padded = self._padded(size)
        return padded <= min(budget, _MOST_PADDED * (self._pixels + size.area))

    def growth(self, size: Size) -> int:
        """Compute by how much more the padded batch grows than by the image alone."""
        return self._padded(size) - len(self.places) * self._size.area - size.area

    def add(self, place: int, size: Size) -> None:
        self.places.append(place)
        self._pixels += size.area
        self._size = _cover(self._size, size)

    def _padded(self, size: Size) -> int:
        return (len(self.places) + 1) * _cover(self._size, size).area


def _cover(one: Size, other: Size) -> Size:
    return Size(max(one.width, other.width), max(one.height, other.height))
