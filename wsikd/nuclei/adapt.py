"""The threshold of one slide, from crops of it: its stain decides, see `wsikd.nuclei.channel`."""

import math
from collections.abc import Sequence

import numpy as np

from wsikd.data.fields.field import Field
from wsikd.data.fields.open_files import OpenFiles
from wsikd.geometry import Pixels, Size
from wsikd.nuclei.channel import haematoxylin
from wsikd.nuclei.learn.crops import deal_crops, draw_crop
from wsikd.nuclei.trained import Device, Segmenter

_SIDE = 256  # px of a crop
_DRAWN, _TAKEN = 64, 16
_WHOLE = _DRAWN * _SIDE**2  # px of an image that is taken as it is


def adapt(segmenter: Segmenter, fields: Sequence[Field], device: Device = "cpu") -> Segmenter:
    """Return the segmenter with the threshold that suits a slide or an image.

    An image is taken whole unless it is large. Of a slide, 64 crops are drawn, and the quarter with
    the most haematoxylin decides: where there are few nuclei, what parts the stain best is tissue
    from glass.

    Parameters
    ----------
    segmenter : Segmenter
        What is applied.
    fields : sequence of Field
        Of one slide, or an image.
    device : torch.device or str
        Where the network is computed.
    """
    is_image = all(field.outline is None for field in fields)
    with OpenFiles() as files:
        kept = [field.keeping(files) for field in fields]
        if is_image and sum(math.prod(field.size) for field in fields) <= _WHOLE:
            crops = [field.crop(0, 0, field.size) for field in kept]
        else:
            crops = _rich_crops(kept)
    return segmenter.adapted(crops, fields[0].light, device)


def _rich_crops(fields: Sequence[Field]) -> list[Pixels]:
    random = np.random.default_rng(0)
    crops = []
    for which in deal_crops(fields, _DRAWN, random):
        width, height = fields[which].size
        size = Size(min(width, _SIDE), min(height, _SIDE))
        crops.append(draw_crop(fields[which], size, random)[0])
    return sorted(crops, key=lambda crop: -float(haematoxylin(crop).mean()))[:_TAKEN]
