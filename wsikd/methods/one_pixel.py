"""Regions of which a network's feature map is a single pixel: they train, with nothing to place."""

from collections.abc import Collection, Mapping

from wsikd.geometry import Size, format_magnification
from wsikd.models import Network
from wsikd.models.shapes import map_size


def one_pixel_notes(
    networks: Mapping[float, Network], sizes: Collection[Mapping[float, Size]]
) -> list[str]:
    """Count, for each network, the regions of which its feature map is one pixel.

    Parameters
    ----------
    networks : mapping of float to Network
        By the magnification that each reads.
    sizes : collection of mapping
        Of the regions learnt from, by magnification.

    Returns
    -------
    list of str
        A sentence for each magnification that has any.

    Examples
    --------
    >>> from wsikd.models import build_model
    >>> network = build_model("resnet10w32", 2)
    >>> one_pixel_notes({1.25: network}, [{1.25: Size(32, 9)}, {1.25: Size(33, 9)}])
    ['1 of 2 regions is at most 32 x 9 pixels at 1.25x: its feature map is one pixel']
    """
    notes = []
    for magnification, network in networks.items():
        small = [size for each in sizes if _is_one_pixel(network, size := each[magnification])]
        if small:
            widest, highest = (max(column) for column in zip(*small, strict=True))
            verb, whose = ("is", "its") if len(small) == 1 else ("are", "their")
            notes.append(
                f"{len(small)} of {len(sizes)} regions {verb} at most {widest} x {highest} pixels "
                f"at {format_magnification(magnification)}: {whose} feature map is one pixel"
            )
    return notes


def _is_one_pixel(network: Network, size: Size) -> bool:
    # above twice the stride a map has two pixels, however a network rounds
    return max(size) < 2 * network.stride and map_size(network, size) == (1, 1)
