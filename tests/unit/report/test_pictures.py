import base64
import io

import numpy as np
import pytest
from PIL import Image
from shapely import box as rectangle

from wsikd.report.pictures import crop_region, draw_thumbnail
from wsikd.store import RegionStore


@pytest.fixture
def store(tmp_path, write_slide):
    """One slide of 1000 x 800 µm, white but for a dark square from (600, 300) on, 400 µm wide."""
    pixels = np.full((800, 1000, 3), 255, np.uint8)
    pixels[300:700, 600:1000] = 40
    outline = rectangle(600, 300, 1000, 700)
    write_slide(tmp_path, "s", {"region-000": (1000, 800)}, pixels=pixels, outline=outline)
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
