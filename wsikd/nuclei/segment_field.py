"""One field from pixels to labels and nuclei, in rows, so that its height costs no memory."""

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsikd.config import Settings
from wsikd.data.fields.field import Field
from wsikd.files import replacing
from wsikd.nuclei.geojson import feature_lines
from wsikd.nuclei.instances import Nucleus, find_instances, paint
from wsikd.nuclei.made import Made
from wsikd.nuclei.objects import ObjectSettings, mask_rows, pixel_side
from wsikd.nuclei.trained import Segmenter
from wsikd.store.labels import LabelFrame, LabelWriter


@dataclass(frozen=True)
class FieldPaths:
    """Where the labels of a field go, and its nuclei as lines of JSON."""

    labels: Path
    nuclei: Path


class FieldNuclei(Settings):
    """What was found in a field; lengths in µm, or in px where the resolution is unknown."""

    nuclei: int
    median_diameter: float | None
    nuclear_fraction: float


def segment_field(
    segmenter: Segmenter,
    field: Field,
    objects: ObjectSettings,
    paths: FieldPaths,
    made: Made,
    *,
    device: str = "cpu",
) -> FieldNuclei:
    """Write the labels and the nuclei of a field; an error or a signal leaves neither.

    The labels are 1 exactly where nuclei are. Nuclei whose centroid is outside the tissue are left
    out of both.

    Parameters
    ----------
    segmenter : Segmenter
        Computes the confidences.
    field : Field
        What is segmented.
    objects : ObjectSettings
        How confidences become nuclei.
    paths : FieldPaths
        Where to.
    made : Made
        What `wsikd.store.labels.read_made` will return.
    device : str
        Where the network is computed.

    Returns
    -------
    FieldNuclei
        Their number, their median diameter and their share of the tissue.
    """
    areas: list[int] = []
    frame, levels = LabelFrame(field.box, field.slide_mpp), (field.level, *field.coarser)
    rows = segmenter.confidence_rows(field.strips(), field.size, field.light, device)
    masks = mask_rows(rows, objects, segmenter.threshold, field.mpp)
    with (
        replacing(paths.nuclei) as temporary,
        temporary.open("w", encoding="utf-8") as lines,
        LabelWriter(paths.labels, frame, levels, made.model_dump(mode="json")) as labels,
    ):
        canvas = _Canvas(field.size.width)
        for found, settled in find_instances(masks, objects, field.mpp):
            nuclei = _inside(found, field)
            lines.writelines(feature_lines(nuclei, field))
            labels.push(canvas.paint(nuclei, settled))
            areas += [nucleus.area_px for nucleus in nuclei]
    return _summarize(areas, field)


class _Canvas:
    """Rows of labels from the first that a nucleus may still reach."""

    def __init__(self, width: int) -> None:
        self._rows = np.zeros((0, width), np.uint8)
        self._top = 0

    def paint(self, nuclei: list[Nucleus], settled: int) -> NDArray[np.uint8]:
        """Paint nuclei and return the rows above the settled one, which no other will reach."""
        bottom = max((nucleus.top + len(nucleus.mask) for nucleus in nuclei), default=settled)
        lacking = max(bottom, settled) - self._top - len(self._rows)
        if lacking > 0:
            self._rows = np.pad(self._rows, ((0, lacking), (0, 0)))
        for nucleus in nuclei:
            paint(self._rows, nucleus, 1, top=self._top)
        done, self._rows = np.split(self._rows, [settled - self._top])
        self._top = settled
        return done


def _inside(nuclei: list[Nucleus], field: Field) -> list[Nucleus]:
    """Leave out nuclei whose centroid is outside the tissue."""
    if field.outline is None or not nuclei:
        return nuclei
    import shapely  # noqa: PLC0415

    shapely.prepare(field.outline)
    placed = np.array([nucleus.centroid for nucleus in nuclei]) * field.scale
    inside = shapely.contains_xy(field.outline, placed + np.array((field.box.x, field.box.y)))
    return [nucleus for nucleus, kept in zip(nuclei, inside, strict=True) if kept]


def _summarize(areas: list[int], field: Field) -> FieldNuclei:
    side = 1.0 if field.mpp is None else pixel_side(field.mpp)
    diameter = 2 * math.sqrt(statistics.median(areas) / math.pi) * side if areas else None
    return FieldNuclei(
        nuclei=len(areas),
        median_diameter=None if diameter is None else round(diameter, 3),
        # nuclei on the outline are counted whole
        nuclear_fraction=round(min(1.0, sum(areas) / _tissue_px(field)), 5),
    )


def _tissue_px(field: Field) -> float:
    """Compute the area of the tissue in the field's pixels."""
    if field.outline is None:
        return field.size.width * field.size.height
    import shapely  # noqa: PLC0415

    (x, y), size = (field.box.x, field.box.y), field.box.size
    box = shapely.box(x, y, x + size.width, y + size.height)
    return float(shapely.area(shapely.intersection(field.outline, box))) / math.prod(field.scale)
