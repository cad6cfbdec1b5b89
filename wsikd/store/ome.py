"""OME-Zarr metadata of a tissue region: axes, true scales, place on the slide, colours.

The rules are those of the OME-NGFF specification, versions 0.4 and 0.5 [1]_.

References
----------
.. [1] https://ngff.openmicroscopy.org/specifications/0.5/
"""

from collections.abc import Sequence
from typing import Any, Literal

from wsikd.geometry import Mpp, PyramidLevel, TissueRegion

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
    """Give the attributes of the region's Zarr group.

    Parameters
    ----------
    region : TissueRegion
        Gives name and place on the slide.
    mpp : Mpp
        µm per level-0 pixel of the slide.
    levels : sequence of PyramidLevel
        The arrays "0", "1", ..., largest first.
    kernel : str
        Resampling kernel that made them.
    ngff : str
        "0.5" or "0.4".
    """
    multiscale: dict[str, Any] = {
        "name": region.region_id,
        "axes": [
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "space", "unit": "micrometer"},
            {"name": "x", "type": "space", "unit": "micrometer"},
        ],
        "datasets": [
            {"path": str(index), "coordinateTransformations": _transformations(region, mpp, level)}
            for index, level in enumerate(levels)
        ],
        "type": {"lanczos": "lanczos3"}.get(kernel, kernel),
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


def _transformations(region: TissueRegion, mpp: Mpp, level: PyramidLevel) -> list[dict[str, Any]]:
    """Place the level on the slide, in µm from the centre of the slide's first level-0 pixel."""
    shift_y = region.box.y * mpp.y + (level.mpp.y - mpp.y) / 2
    shift_x = region.box.x * mpp.x + (level.mpp.x - mpp.x) / 2
    return [
        {"type": "scale", "scale": [1.0, level.mpp.y, level.mpp.x]},
        {"type": "translation", "translation": [0.0, shift_y, shift_x]},
    ]
