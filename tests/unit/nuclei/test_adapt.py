from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from PIL import Image

from wsikd.data.fields.field import FileField
from wsikd.geometry import Region, Size
from wsikd.nuclei.adapt import adapt
from wsikd.nuclei.network import ConfidenceNetwork
from wsikd.nuclei.trained import Segmenter

PALE, NUCLEUS, GLASS = (230, 190, 220), (90, 60, 150), (250, 250, 250)


def draw_field(folder, *, is_slide: bool, side: int = 300) -> FileField:
    """A glass slide whose lower half is pale tissue with a nucleus in every 20 px."""
    pixels = np.full((side, side, 3), GLASS, np.uint8)
    pixels[side // 2 :] = PALE
    for top in range(side // 2 + 4, side - 8, 20):
        for left in range(4, side - 8, 20):
            pixels[top : top + 8, left : left + 8] = NUCLEUS
    path = folder / "slide.png"
    Image.fromarray(pixels).save(path)
    return FileField(
        slide_id="slide",
        region_id="image",
        box=Region(0, 0, Size(side, side)),
        slide_mpp=None,
        size=Size(side, side),
        magnification=None,
        light=(250.0, 250.0, 250.0),
        outline=shapely.box(0, 0, side, side) if is_slide else None,
        path=path,
    )


@pytest.fixture
def segmenter(monkeypatch) -> Segmenter:
    """A segmenter whose confidence is the darkness of red, without a network's computation."""

    def darkness(_, strips, size, light, device="cpu"):
        del size, light, device
        return (1 - strip[..., 0].astype(np.float32) / 255 for strip in strips)

    monkeypatch.setattr(Segmenter, "confidence_rows", darkness)
    torch.manual_seed(0)
    known = {"channel": 0, "inverted": False, "threshold": 0.99, "mpp": None, "labels": "none"}
    learnt = pd.DataFrame({"slide_id": [], "patient_id": []})
    return Segmenter(run="segment", network=ConfidenceNetwork(1), **known, learnt=learnt)


@pytest.mark.parametrize("is_slide", [False, True])
def test_the_threshold_parts_nuclei_from_pale_tissue(tmp_path, segmenter, is_slide):
    adapted = adapt(segmenter, [draw_field(tmp_path, is_slide=is_slide)])
    pale, nucleus = (1 - colour[0] / 255 for colour in (PALE, NUCLEUS))
    assert pale < adapted.threshold < nucleus
    assert replace(adapted, threshold=0.99) == segmenter


def test_empty_glass_leaves_the_threshold_of_the_model(tmp_path, segmenter):
    field = draw_field(tmp_path, is_slide=False)
    Image.new("RGB", (300, 300), GLASS).save(field.path)
    assert adapt(segmenter, [field]).threshold == 0.99
