import numpy as np
import pytest
import zarr
from PIL import Image

from wsikd.data.fields.field import FileField, StoreField, balance, brightest
from wsikd.errors import StoreError
from wsikd.geometry import Mpp, Region, Size

WHITE = (255.0, 255.0, 255.0)
BOX = Region(30, 20, Size(180, 120))
HALF = Size(90, 60)
MPP = Mpp(0.25, 0.25)
RISE = 100 / 29 + 100 / 17  # of a wave within one level-0 pixel across and down
ABOUT = {"slide_id": "a", "region_id": "region-000", "light": WHITE}


def waves(width, height):
    """Return a smooth picture whose neighbours differ by a few grey levels at most."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    planes = [np.sin(x / 29 + y / 17 + phase) for phase in (0, 1, 2)]
    return (128 + 100 * np.stack(planes, axis=-1)).astype(np.uint8)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(waves(230, 170)).save(path)
    return path


def field_of(path, *, box=BOX, size=HALF, mpp=MPP):
    return FileField(**ABOUT, box=box, size=size, slide_mpp=mpp, magnification=20.0, path=path)


def whole(field):
    return np.concatenate(list(field.strips()))


class TestAnyField:
    def test_tells_its_mpp_from_the_true_sizes_and_not_from_the_nominal_ones(self, picture):
        field = field_of(picture, size=Size(91, 60), mpp=Mpp(0.25, 0.5))
        assert field.mpp == Mpp(pytest.approx(0.25 * 180 / 91), 1.0)
        assert field.level == (Size(91, 60), field.mpp, 20.0)

    def test_has_no_mpp_where_nothing_says_so(self, picture):
        assert field_of(picture, mpp=None).mpp is None


class TestFileField:
    @pytest.mark.parametrize("size", [Size(90, 60), Size(101, 67), Size(50, 33)])
    def test_strips_are_pillows_lanczos_of_its_box(self, picture, size):
        box = Image.open(picture).crop((30, 20, 210, 140))
        expected = np.asarray(box.resize(size, Image.Resampling.LANCZOS)).astype(int)
        assert np.abs(whole(field_of(picture, size=size)) - expected).max() <= 1

    def test_strips_at_the_files_own_mpp_are_its_pixels(self, picture):
        field = field_of(picture, size=Size(180, 120))
        assert (whole(field) == waves(230, 170)[20:140, 30:210]).all()

    @pytest.mark.parametrize(("left", "top"), [(0, 0), (11, 7), (50, 27), (37, 0)])
    @pytest.mark.parametrize("size", [Size(90, 60), Size(101, 67), Size(180, 120)])
    def test_a_crop_is_close_to_the_same_rectangle_of_the_strips(self, picture, size, left, top):
        field = field_of(picture, size=size)
        cropped = field.crop(left, top, Size(40, 33)).astype(int)
        assert cropped.shape == (33, 40, 3)
        expected = whole(field)[top : top + 33, left : left + 40]
        assert np.abs(cropped - expected).max() <= RISE

    def test_the_last_crop_lies_within_the_file(self, picture):
        field = field_of(picture, box=Region(0, 0, Size(230, 170)), size=Size(229, 169))
        cropped = field.crop(229 - 64, 169 - 64, Size(64, 64)).astype(int)
        assert np.abs(cropped - whole(field)[-64:, -64:]).max() <= RISE


class TestStoreField:
    @pytest.fixture
    def field(self, store):
        (region,) = store.read_slide("b").regions
        return StoreField(
            **ABOUT,
            box=Region(0, 0, Size(12, 12)),
            size=Size(12, 12),
            slide_mpp=Mpp(1, 1),
            magnification=10.0,
            path=store.path / "b" / "region-000.ome.zarr" / region.levels[0].path,
        )

    def test_strips_are_the_stores_pixels(self, field, images):
        assert (whole(field) == images["b"][0][0]).all()

    def test_a_crop_is_the_same_rectangle_of_the_store(self, field, images):
        assert (field.crop(3, 5, Size(4, 6)) == images["b"][0][0][5:11, 3:7]).all()

    def test_strips_are_rows_of_chunks(self, tmp_path):
        pixels = waves(60, 50)
        array = zarr.create_array(
            tmp_path / "0", shape=(3, 50, 60), chunks=(3, 16, 16), dtype=np.uint8
        )
        array[:] = np.moveaxis(pixels, 2, 0)
        box = Region(0, 0, Size(60, 50))
        field = StoreField(
            **ABOUT, box=box, size=box.size, slide_mpp=None, magnification=None, path=tmp_path / "0"
        )
        assert [len(rows) for rows in field.strips()] == [16, 16, 16, 2]
        assert (whole(field) == pixels).all()

    def test_a_damaged_chunk_is_refused_by_the_name_of_its_array(self, tmp_path):
        array = zarr.create_array(
            tmp_path / "0", shape=(3, 8, 8), chunks=(3, 8, 8), dtype=np.uint8, fill_value=9
        )
        array[:] = 1
        (chunk,) = [path for path in (tmp_path / "0" / "c").rglob("*") if path.is_file()]
        chunk.write_bytes(b"no chunk")
        box = Region(0, 0, Size(8, 8))
        field = StoreField(
            **ABOUT, box=box, size=box.size, slide_mpp=None, magnification=None, path=tmp_path / "0"
        )
        with pytest.raises(StoreError, match=r"/0: damaged \(.+\); remove the slide and prepare"):
            list(field.strips())


class TestBalance:
    def test_brings_the_light_to_one_white_and_keeps_shares_of_it(self):
        light = (200.0, 220.0, 160.0)
        shares = np.linspace(0, 1, 21)[:, None, None]
        seen = np.floor(shares * light + 0.5).astype(np.uint8)
        balanced = balance(seen, light)
        assert (balanced[-1] == 240).all()
        # half a grey level of what is seen is 0.75 of what comes out, and half for its own rounding
        assert np.abs(balanced - 240 * shares).max() <= 1.25

    def test_what_is_brighter_than_the_light_stays_within_bytes(self):
        assert (balance(np.full((1, 1, 3), 255, np.uint8), (100.0,) * 3) == 255).all()


class TestBrightest:
    def test_is_what_a_twentieth_of_the_pixels_exceeds(self):
        ramp = np.arange(200, dtype=np.uint8)[:, None].repeat(3, axis=1)[None]
        red, green, blue = brightest(ramp // np.array([1, 2, 4], np.uint8))
        assert (red, green, blue) == pytest.approx((189, 94, 47), abs=0.6)

    def test_of_a_large_picture_is_that_of_pixels_spread_over_it(self):
        large = np.zeros((2000, 2000, 3), np.uint8)
        large[:, 1500:] = 230
        assert brightest(large) == (230.0, 230.0, 230.0)
