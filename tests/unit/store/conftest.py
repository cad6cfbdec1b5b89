from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shapely import box as rectangle

from tests.builders import slide_record
from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, plan_levels
from wsikd.slides import ArrayReader
from wsikd.store import SlideWriter, Source

MPP = Mpp(0.5, 0.25)
BOX = Region(40, 24, Size(701, 1203))
OUTLINES = {"type": "FeatureCollection", "features": []}


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def write_slide(
    store: Path,
    slide_id: str = "s1",
    *,
    pixels: np.ndarray | None = None,
    box: Region = BOX,
    magnifications: tuple[float, ...] = (20, 10, 5, 2.5, 1.25),
    ngff: str = "0.5",
    commit: bool = True,
) -> SlideWriter:
    """Write a slide of one region, at 0.5 x 0.25 µm per pixel."""
    writer = SlideWriter(store, slide_id, ngff)
    with ArrayReader(noise(800, 1300) if pixels is None else pixels) as slide:
        tissue = TissueRegion(0, box, rectangle(box.x, box.y, box.x + 100, box.y + 50))
        levels = plan_levels(box.size, MPP, PyramidSettings(magnifications=magnifications))
        region = writer.write_region(tissue, MPP, levels, build_pyramid(slide, box, levels))
        record = slide_record(
            slide_id,
            (region,),
            (slide.size.width, slide.size.height),
            MPP,
            settings={"mpp": None},
            slide_format="array",
            reader_version=slide.version,
            mpp_source="file",
            source=Source(name="slide.svs", bytes=1, sha256="0"),
        )
        if commit:
            writer.commit(record, OUTLINES, noise(32, 52))
    return writer


@pytest.fixture
def write() -> Callable[..., SlideWriter]:
    return write_slide


@pytest.fixture
def pixels() -> np.ndarray:
    """Return level 0 of the slide that `write` writes."""
    return noise(800, 1300)
