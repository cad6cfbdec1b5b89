from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from shapely import box as rectangle

from wsikd.data.fields.field import FileField, StoreField
from wsikd.data.fields.inputs import FieldInput, list_inputs
from wsikd.data.fields.opening import FieldSettings, ResolutionSettings, open_fields
from wsikd.drawn.slides import DrawSettings, draw_slide
from wsikd.errors import MissingResolutionError, SlideError, StoreError
from wsikd.geometry import Mpp, Region, Size
from wsikd.store import RegionStore
from wsikd.workspace import Workspace

BOX = Region(40, 20, Size(320, 240))  # of the prepared slide's region, in noise of 400 x 300
TISSUE = rectangle(40, 20, 264, 260)
AT_1 = ResolutionSettings(mpp=1)


def noise(width, height):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def open_file(path, *, mpp=None, **settings):
    return open_fields(FieldInput(path.stem, path.stem, path, mpp), FieldSettings(**settings))


def whole(field):
    return np.concatenate(list(field.strips()))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(noise(60, 40)).save(path)
    return path


class TestPicture:
    def test_without_resolution_is_taken_whole_and_as_it_is(self, picture):
        (field,) = open_file(picture)
        assert (field.region_id, field.box, field.outline) == (
            "image",
            Region(0, 0, Size(60, 40)),
            None,
        )
        assert (field.mpp, field.magnification) == (None, None)
        assert (whole(field) == noise(60, 40)).all()

    def test_is_resampled_where_its_resolution_is_stated(self, picture):
        (field,) = open_file(picture, mpp=0.125)
        assert (field.size, field.mpp, field.magnification) == (Size(30, 20), Mpp(0.25, 0.25), 40)
        half = Image.open(picture).resize((30, 20), Image.Resampling.LANCZOS)
        assert np.abs(whole(field).astype(int) - np.asarray(half)).max() <= 1

    def test_mpp_of_the_table_comes_before_that_of_the_settings(self, picture):
        (own,) = open_file(picture, mpp=0.125)
        found = FieldInput("a", "a", picture, mpp=0.25)
        (of_table,) = open_fields(found, FieldSettings(mpp=0.125))
        assert (own.size, of_table.size) == (Size(30, 20), Size(60, 40))

    def test_a_tenth_coarser_than_asked_for_is_taken_as_it_is(self, picture):
        (field,) = open_file(picture, mpp=0.27)
        assert (field.size, field.mpp) == (Size(60, 40), Mpp(0.27, 0.27))

    def test_light_is_that_of_its_brightest_pixels(self, tmp_path):
        pixels = np.full((40, 40, 3), (120, 60, 140), np.uint8)
        pixels[:4] = (235, 230, 238)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        (field,) = open_file(tmp_path / "a.png")
        assert field.light == (235, 230, 238)

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_a_fourth_channel_that_hides_nothing_is_passed_over(self, tmp_path, name):
        opaque = np.dstack([noise(60, 40), np.full((40, 60), 255, np.uint8)])
        Image.fromarray(opaque).save(tmp_path / name)
        (field,) = open_file(tmp_path / name)
        assert (whole(field) == noise(60, 40)).all()

    def test_the_printers_resolution_of_a_tiff_is_no_microscopes(self, tmp_path):
        Image.fromarray(noise(60, 40)).save(tmp_path / "a.tif", dpi=(72, 72))
        assert open_file(tmp_path / "a.tif")[0].mpp is None


RED_OR_GREY = noise(60, 40)[..., 0]
VEILED = np.dstack([noise(60, 40), RED_OR_GREY])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.png", Image.fromarray(RED_OR_GREY).save, "must be in colour, is grey; nuclei are told"),
        ("a.tif", Image.fromarray(RED_OR_GREY).save, "must be in colour, is grey; nuclei are told"),
        (
            "a.png",
            Image.fromarray(np.dstack([RED_OR_GREY] * 3)).save,
            "must be in colour, is grey; nuclei are told by their stain, so leave it out",
        ),
        (
            "a.jpg",
            Image.fromarray(noise(60, 40)).convert("CMYK").save,
            r"must have three channels, has four \(CMYK\); save it as RGB",
        ),
        (
            "a.png",
            Image.fromarray(VEILED).save,
            "must have three channels, has a fourth that is not opaque; save it as RGB",
        ),
        (
            "a.tif",
            Image.fromarray(VEILED).save,
            "must have three channels, has a fourth that is not opaque; save it as RGB",
        ),
        (
            "a.png",
            lambda path: Image.fromarray(noise(60, 40)).quantize(20).save(path, transparency=3),
            "must have three channels, has a fourth that is not opaque; save it as RGB",
        ),
        (
            "a.tif",
            lambda path: tifffile.imwrite(
                path, VEILED, photometric="rgb", extrasamples=("unspecified",)
            ),
            "must have three channels, has a fourth of no stated meaning; save it as RGB",
        ),
        (
            "a.png",
            Image.fromarray(RED_OR_GREY.astype(np.uint16) * 257).save,
            "must have 8 bits a channel, got mode I;16; convert it",
        ),
        (
            "a.tif",
            lambda path: tifffile.imwrite(
                path, noise(60, 40).astype(np.uint16) * 257, photometric="rgb"
            ),
            "unsupported, must be one picture in RGB or grey with 8 bits, got 3 samples of uint16",
        ),
        ("a.png", lambda path: path.write_bytes(b""), "the file is empty; copy or download it"),
        ("a.png", lambda path: path.write_text("text"), "begins with b'text', which no reader kno"),
        ("a.png", lambda _: None, "no such file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_picture_that_is_not_in_colours_of_8_bits_is_refused_by_name(
    tmp_path, name, write, message
):
    write(tmp_path / name)
    with pytest.raises(SlideError, match=rf"^{tmp_path / name}: {message}") as refused:
        open_file(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_a_picture_that_is_too_coarse_is_refused_with_what_would_do(picture):
    message = (
        r"a\.png: must be at most 0\.275 µm per pixel, is 0\.3; leave it out, or segment at "
        r"--segment\.mpp 0\.3$"
    )
    with pytest.raises(SlideError, match=message):
        open_file(picture, mpp=0.3)
    (field,) = open_file(picture, mpp=0.3, segment=ResolutionSettings(mpp=0.3))
    assert field.size == Size(60, 40)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Draw a slide of one piece at 1 µm per pixel; give its file and the piece's border."""
    path = tmp_path_factory.mktemp("drawn") / "s1.svs"
    (outline,) = draw_slide(path, "normal", DrawSettings(pieces=1, piece_mm=(0.4, 0.4)))
    return path, outline


class TestSlide:
    def test_each_piece_of_tissue_is_a_field(self, slide):
        path, drawn = slide
        (field,) = open_file(path, segment=ResolutionSettings(mpp=2))
        assert (field.slide_id, field.region_id, field.slide_mpp) == (
            "s1",
            "region-000",
            Mpp(1.0, 1.0),
        )
        union = field.outline.union(drawn).area
        assert field.outline.intersection(drawn).area > 0.9 * union
        corner = (field.box.x + field.box.size.width, field.box.y + field.box.size.height)
        assert rectangle(field.box.x, field.box.y, *corner).covers(field.outline)
        assert field.size.width == pytest.approx(field.box.size.width / 2, abs=1)
        assert field.magnification == 5

    def test_light_is_that_of_its_glass(self, slide):
        path, _ = slide
        (field,) = open_file(path, segment=AT_1)
        with Image.open(path) as drawn:
            corner = np.asarray(drawn.crop((0, 0, 12, 4)))
        assert np.abs(np.asarray(field.light) - np.median(corner, axis=(0, 1))).max() <= 3

    def test_stated_mpp_wins_over_that_of_the_file(self, slide):
        path, _ = slide
        (field,) = open_file(path, mpp=1.05, segment=AT_1)
        assert field.slide_mpp == Mpp(1.05, 1.05)

    def test_that_is_too_coarse_is_refused_before_tissue_is_sought(self, slide):
        path, _ = slide
        message = r"s1\.svs: must be at most 0\.275 µm per pixel, is 1; leave it out, or segment at"
        with pytest.raises(SlideError, match=message):
            open_file(path)

    def test_without_resolution_is_refused(self, slide, tmp_path):
        silent = slide[0].read_bytes().replace(b"|MPP", b"|ppM").replace(b"|AppMag", b"|gaMppA")
        (tmp_path / "a.svs").write_bytes(silent)
        with pytest.raises(MissingResolutionError, match=r"a\.svs: no µm per pixel known; state"):
            open_file(tmp_path / "a.svs")


class TestStore:
    """A slide of one region at 0.5 µm per pixel, prepared at 20x, 10x and 5x."""

    @pytest.fixture
    def workspace(self, make_workspace):
        workspace = make_workspace()
        _light(workspace.store / "s1", (230, 228, 240))
        return workspace

    @pytest.fixture
    def found(self, workspace):
        (found,) = list_inputs([], workspace)
        return found

    def test_a_magnification_that_it_has_is_read_from_it(self, workspace, found):
        (field,) = open_fields(found, FieldSettings(segment=AT_1))
        assert isinstance(field, StoreField)
        stored = RegionStore(workspace.store).read_pixels("s1", "region-000", 10)
        assert (whole(field) == stored).all()
        assert (field.box, field.slide_mpp) == (BOX, Mpp(0.5, 0.5))
        assert (field.mpp, field.magnification) == (Mpp(1, 1), 10)
        assert field.outline.equals(TISSUE)

    def test_its_coarser_levels_are_those_labels_are_written_at_too(self, found):
        (field,) = open_fields(found, FieldSettings(segment=AT_1))
        assert field.coarser == ((Size(80, 60), Mpp(2, 2), 5),)

    def test_light_is_that_of_the_thumbnails_glass(self, found):
        (field,) = open_fields(found, FieldSettings(segment=AT_1))
        assert field.light == (230, 228, 240)

    def test_a_finer_magnification_is_read_from_the_slide(self, tmp_path, found):
        Image.fromarray(noise(400, 300)).save(tmp_path / "s1.png")
        here = replace(found, path=tmp_path / "s1.png")
        settings = FieldSettings(segment=ResolutionSettings(mpp=0.6), reader="image")
        (field,) = open_fields(here, settings)
        assert isinstance(field, FileField)
        assert (field.box, field.region_id) == (BOX, "region-000")
        assert field.size == (round(320 * 0.5 / 0.6), round(240 * 0.5 / 0.6))
        assert [level.magnification for level in field.coarser] == [10, 5]
        crop = Image.fromarray(noise(400, 300)).crop((40, 20, 360, 260))
        expected = np.asarray(crop.resize(field.size, Image.Resampling.LANCZOS)).astype(int)
        assert np.abs(whole(field) - expected).max() <= 1

    def test_a_finer_magnification_without_the_slide_is_refused(self, found):
        message = (
            r"^s1: 40x was not prepared, and its slide .+/s1\.svs is not there; prepare it with "
            r"--pyramid\.magnifications, or bring the slide back$"
        )
        with pytest.raises(StoreError, match=message):
            open_fields(found, FieldSettings())

    def test_a_finer_magnification_of_a_store_alone_is_refused(self, workspace):
        (found,) = list_inputs([workspace.store], Workspace(workspace.root / "elsewhere"))
        message = r"^s1: 40x was not prepared, and slides\.csv does not say where its slide is; pre"
        with pytest.raises(StoreError, match=message):
            open_fields(found, FieldSettings())

    def test_a_slide_that_is_too_coarse_is_refused(self, tmp_path, found):
        Image.fromarray(noise(400, 300)).save(tmp_path / "s1.png")
        here = replace(found, path=tmp_path / "s1.png")
        with pytest.raises(
            SlideError, match=r"s1\.png: must be at most 0\.275 µm per pixel, is 0\."
        ):
            open_fields(here, FieldSettings())


def _light(slide, colour):
    Image.new("RGB", (40, 30), colour).save(slide / "thumbnail.png")


def test_a_slide_smaller_than_any_piece_of_tissue_is_a_field_of_view(shared_data):
    path = shared_data / "slides" / "OS-1-detail.ome.tif"  # 0.25 mm wide, with a resolution
    (field,) = open_fields(FieldInput("a", "a", path), FieldSettings())
    assert (field.region_id, field.size, field.outline) == ("image", Size(1000, 1000), None)
    assert field.mpp == pytest.approx((0.25, 0.25), rel=1e-3)
