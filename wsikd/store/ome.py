"""OME-Zarr metadata: axes, true scales, place on the slide, and of a tissue region its colours.

The rules are those of the OME-NGFF specification, versions 0.4 and 0.5 [1]_.

References
----------
.. [1] https://ngff.openmicroscopy.org/specifications/0.5/
"""

from collections.abc import Sequence
from typing import Any, Literal

from wsikd.geometry import Mpp, PyramidLevel, Region, TissueRegion

NgffVersion = Literal["0.5", "0.4"]
"""Version of OME-Zarr that is written."""


def region_attributes(
    region: TissueRegion,
    mpp: Mpp,
    levels: Sequence[PyramidLevel],
    *,
    kernel: str,
    ngff: NgffVersion,
) -> dict[str, Any]:
    """Describe a region in the attributes of its Zarr group.

    Parameters
    ----------
    region : TissueRegion
        Has its name and its place on the slide.
    mpp : Mpp
        µm per level-0 pixel of the slide.
    levels : sequence of PyramidLevel
        The arrays "0", "1", ..., largest first.
    kernel : str
        Resampling kernel that made them.
    ngff : str
        "0.5" or "0.4".
    """
    placed = [place(region.box, mpp, level.mpp, channels=True) for level in levels]
    made_by = {"lanczos": "lanczos3"}.get(kernel, kernel)
    multiscale = {
        **describe_levels(region.region_id, placed, made_by),
        "metadata": {"direct_from_original": True, "source_mpp": [mpp.x, mpp.y]},
    }
    colours = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    omero = {
        "channels": [
            {"label": label, "color": colour, "window": window, "active": True}
            for label, colour in colours
        ],
        "rdefs": {"model": "color"},
    }
    own = {"magnifications": [level.magnification for level in levels]}
    if ngff == "0.4":
        return {"multiscales": [{"version": "0.4", **multiscale}], "omero": omero, "wsikd": own}
    ome = {"version": "0.5", "multiscales": [multiscale], "omero": omero}
    return {"ome": ome, "wsikd": own}


def describe_levels(
    name: str, placed: Sequence[list[dict[str, Any]]], made_by: str, *, unit: bool = True
) -> dict[str, Any]:
    """Describe the levels of an image: an entry of "multiscales".

    Parameters
    ----------
    name : str
        Of the image.
    placed : sequence of list of dict
        What `place` returns for the arrays "0", "1", ..., largest first.
    made_by : str
        How the coarser levels were made.
    unit : bool
        Whether lengths are in µm; else they have no unit.
    """
    has_channels = len(placed[0][0]["scale"]) == 3
    space = {"type": "space", **({"unit": "micrometer"} if unit else {})}
    return {
        "name": name,
        "axes": [
            *([{"name": "c", "type": "channel"}] if has_channels else []),
            *({"name": axis, **space} for axis in "yx"),
        ],
        "datasets": [
            {"path": str(index), "coordinateTransformations": transformations}
            for index, transformations in enumerate(placed)
        ],
        "type": made_by,
    }


def place(box: Region, mpp: Mpp, pitch: Mpp, *, channels: bool) -> list[dict[str, Any]]:
    """Place a level on its slide, from the centre of the slide's first level-0 pixel.

    Parameters
    ----------
    box : Region
        Of the image in the level-0 frame, at level 0.
    mpp : Mpp
        Length of a level-0 pixel.
    pitch : Mpp
        Length of a pixel of the level.
    channels : bool
        Whether there is an axis of channels before y and x.
    """
    shift = [box.y * mpp.y + (pitch.y - mpp.y) / 2, box.x * mpp.x + (pitch.x - mpp.x) / 2]
    scale = [pitch.y, pitch.x]
    return [
        {"type": "scale", "scale": [1.0, *scale] if channels else scale},
        {"type": "translation", "translation": [0.0, *shift] if channels else shift},
    ]
