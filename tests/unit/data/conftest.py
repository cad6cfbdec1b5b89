import numpy as np
import pytest
from shapely import box

from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.store import RegionStore, SlideRecord, SlideWriter, Source


def write_slide(folder, slide_id, regions):
    """Write a slide whose regions are given as one array per magnification, 10x and 2.5x."""
    writer = SlideWriter(folder, slide_id)
    records = []
    for index, images in enumerate(regions):
        height, width = images[0].shape[:2]
        tissue = TissueRegion(index, Region(0, 0, Size(width, height)), box(0, 0, width, height))
        levels = [
            PyramidLevel(magnification, Size(image.shape[1], image.shape[0]), Mpp(mpp, mpp))
            for image, magnification, mpp in zip(images, (10.0, 2.5), (1.0, 4.0), strict=True)
        ]
        records.append(writer.write_region(tissue, Mpp(1, 1), levels, list(enumerate(images))))
    record = SlideRecord(
        slide_id=slide_id,
        settings={},
        source=Source(name="drawn.svs", bytes=0, sha256=""),
        slide_format="drawn",
        reader="array",
        reader_version="1",
        width=100,
        height=100,
        mpp=(1, 1),
        mpp_source="file",
        objective_power=None,
        warnings=(),
        regions=tuple(records),
    )
    writer.commit(record, {"type": "FeatureCollection", "features": []}, images[1])


@pytest.fixture(scope="session")
def images():
    """Regions by slide; each is an image at 10x and one at 2.5x."""
    drawn = np.random.default_rng(3)
    sizes = {"a": [(20, 36), (8, 12)], "b": [(12, 12)], "c": [(16, 4)], "aux": [(4, 4)]}
    return {
        slide_id: [
            [
                drawn.integers(0, 256, (height // side, width // side, 3), np.uint8)
                for side in (1, 4)
            ]
            for height, width in regions
        ]
        for slide_id, regions in sizes.items()
    }


@pytest.fixture(scope="session")
def store(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("regions")
    for slide_id, regions in images.items():
        write_slide(folder, slide_id, regions)
    return RegionStore(folder)
