"""Nuclei as GeoJSON that QuPath imports, written and gathered without holding them."""

import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsikd.data.fields.field import Field
from wsikd.files import replacing
from wsikd.nuclei.instances import Nucleus
from wsikd.nuclei.objects import pixel_side
from wsikd.nuclei.outlines import trace_rings

_COLOUR = [40, 60, 180]
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "nuclei.wsikd")
_DECIMALS = 2


def to_feature(nucleus: Nucleus, field: Field) -> dict[str, Any]:
    """Describe a nucleus as a QuPath detection.

    Parameters
    ----------
    nucleus : Nucleus
        In the field's pixels.
    field : Field
        Where it was found.

    Returns
    -------
    dict
        Coordinates are level-0 pixels of the slide, y down, to a hundredth of a pixel; "Area µm²"
        and "Diameter µm", that of the circle of its area, are "Area px²" and "Diameter px" where
        the µm per pixel are unknown. Equal outlines in equal places have equal ids.
    """
    traced = trace_rings(nucleus.mask, nucleus.left, nucleus.top)
    rings = [_place(ring, field) for ring in traced]
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, f"{field.region_id} {rings}")),
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": {
            "objectType": "detection",
            "classification": {"name": "Nucleus", "color": _COLOUR},
            "measurements": _measure(nucleus, field),
        },
    }


def feature_lines(nuclei: Iterable[Nucleus], field: Field) -> Iterator[str]:
    """Describe nuclei in a line of JSON each."""
    for nucleus in nuclei:
        feature = to_feature(nucleus, field)
        yield json.dumps(feature, ensure_ascii=False, allow_nan=False) + "\n"


def gather_features(parts: Iterable[Path], path: Path) -> None:
    """Make a FeatureCollection of files of lines, line by line; there is no `crs`."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for part in parts:
            with part.open(encoding="utf-8") as lines:
                for line in lines:
                    file.write(separator + line.rstrip("\n"))
                    separator = ",\n"
        file.write("\n]}\n")


def _place(ring: NDArray[np.int64], field: Field) -> list[list[float]]:
    """Bring a ring's corners to the level-0 frame."""
    corners = ring * field.scale + np.array((field.box.x, field.box.y))
    placed: list[list[float]] = np.round(corners, _DECIMALS).tolist()
    return placed


def _measure(nucleus: Nucleus, field: Field) -> dict[str, float]:
    unit, side = ("px", 1.0) if field.mpp is None else ("µm", pixel_side(field.mpp))
    return {
        f"Area {unit}²": round(nucleus.area_px * side**2, 3),
        f"Diameter {unit}": round(nucleus.diameter_px * side, 3),
    }
