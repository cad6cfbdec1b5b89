import base64
import io

import numpy as np
import pytest
from PIL import Image
from shapely import box as rectangle
from shapely.geometry import mapping

from wsikd.geometry import Mpp, PyramidLevel, Region, Size, TissueRegion
from wsikd.report.pictures import crop_region, draw_thumbnail
from wsikd.store import RegionStore, SlideRecord, SlideWriter, Source

MPP = Mpp(1.0, 1.0)


@pytest.fixture
def store(tmp_path):
    """One slide of 1000 x 800 µm, white but for a dark square from (600, 300) on, 400 µm wide."""
    fine = np.full((800, 1000, 3), 255, np.uint8)
    fine[300:700, 600:1000] = 40
    coarse = fine[::8, ::8]
    levels = [
        PyramidLevel(10.0, Size(1000, 800), MPP),
        PyramidLevel(1.25, Size(125, 100), Mpp(8.0, 8.0)),
    ]
    region = TissueRegion(0, Region(0, 0, Size(1000, 800)), rectangle(600, 300, 1000, 700))
    writer = SlideWriter(tmp_path, "s")
    written = writer.write_region(region, MPP, levels, [(0, fine), (1, coarse)])
    record = SlideRecord(
        slide_id="s",
        settings={},
        source=Source(name="s.tif", bytes=1, sha256=""),
        slide_format="drawn",
        reader="array",
        reader_version="",
        width=1000,
        height=800,
        mpp=MPP,
        mpp_source="given",
        objective_power=None,
        warnings=(),
        regions=(written,),
    )
    feature = {"type": "Feature", "geometry": mapping(region.outline), "properties": {}}
    outlines = {"type": "FeatureCollection", "features": [feature]}
    writer.commit(record, outlines, np.full((80, 100, 3), 255, np.uint8))
    return RegionStore(tmp_path)


def image_of(uri):
    data = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_crop_shows_the_most_stained_square_at_every_magnification(store):
    side_um, crops = crop_region(store, "s", "region-000")
    assert side_um == 400
    assert [crop.magnification for crop in crops] == ["10x", "1.25x"]
    assert [image_of(crop.uri).shape[:2] for crop in crops] == [(400, 400), (50, 50)]
    for crop in crops:
        assert image_of(crop.uri).mean() == pytest.approx(40, abs=6)


def test_the_outline_is_drawn_where_the_tissue_is(store):
    picture = image_of(draw_thumbnail(store, "s"))
    assert picture.shape == (80, 100, 3)
    blue = picture[..., 2] - picture[..., 0] > 60
    rows, columns = np.nonzero(blue)
    assert (columns.min(), rows.min(), rows.max()) == pytest.approx((60, 30, 70), abs=2)
    assert not blue[35:65, 65:95].any()
