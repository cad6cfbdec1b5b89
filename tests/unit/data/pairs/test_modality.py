import numpy as np
import pytest
import tifffile
from PIL import Image

from wsikd.data.patches.folders import FolderPatches
from wsikd.errors import ConfigError, ManifestError, MissingResolutionError, SlideError
from wsikd.store import RegionStore

SLIDE = (400, 300)  # pixels of 0.5 µm, of the workspace's slides


@pytest.fixture
def planes():
    return np.random.default_rng(9).integers(0, 256, (3, 300, 400), np.uint8)


class TestImages:
    def test_go_by_equal_names(self, make_images, pair_up):
        first = make_images(["ADI/1.png", "TUM/2.png"])
        second = make_images(["ADI/1.jpg", "TUM/2.tif"], name="if", seed=5)
        partner = pair_up("modality", first, given={"partner": second})
        assert (partner.size, partner.magnification) == ((12, 8), 20)
        expected = np.random.default_rng(6).integers(0, 256, (8, 12, 3), np.uint8)
        np.testing.assert_array_equal(partner.read(1), expected)

    def test_may_lie_flat_beside_class_folders(self, make_images, pair_up):
        first = make_images(["ADI/1.png", "TUM/2.png"])
        second = make_images(["2.png", "1.png"], name="if", seed=5)
        partner = pair_up("modality", first, given={"partner": second})
        expected = np.random.default_rng(5).integers(0, 256, (8, 12, 3), np.uint8)
        np.testing.assert_array_equal(partner.read(1), expected)

    def test_may_have_a_plane_per_channel(self, make_images, pair_up, write_planes, planes):
        first = make_images(["1.png"], size=(40, 30))
        small = planes[:, :30, :40]
        second = write_planes(small, name="if/1.tif").parent
        partner = pair_up("modality", first, given={"partner": second, "channels": ("CD45",)})
        np.testing.assert_array_equal(partner.read(0), np.stack([small[2]] * 3, axis=2))

    def test_names_those_that_lack_a_partner(self, make_images, pair_up):
        first = make_images(["ADI/1.png", "ADI/2.png", "ADI/3.png", "TUM/4.png", "TUM/5.png"])
        second = make_images(["ADI/1.png"], name="if")
        message = r"if: 4 of 5 lack a partner here, ADI/2, ADI/3, TUM/4, …; add them, or list"
        with pytest.raises(ManifestError, match=message):
            pair_up("modality", first, given={"partner": second})

    def test_names_partners_that_lack_a_first_image(self, make_images, pair_up, tmp_path):
        first = make_images(["1.png"])
        second = make_images(["1.png", "2.png"], name="if")
        with pytest.raises(ManifestError, match="images: 1 of 2 lack a partner here, 2; remove"):
            pair_up("modality", first, given={"partner": second})
        table = tmp_path / "chosen.csv"
        table.write_text("path,label\n1.png,a\n")
        assert pair_up("modality", first, given={"partner": second}, table=table).size == (12, 8)

    def test_refuses_two_images_of_one_name(self, make_images, pair_up):
        second = make_images(["1.png", "1.tif"], name="if")
        with pytest.raises(ManifestError, match=r"1\.png and 1\.tif go by one name; keep one"):
            pair_up("modality", make_images(["1.png"]), given={"partner": second})

    def test_refuses_another_size(self, make_images, pair_up):
        second = make_images(["1.png"], name="if", size=(24, 16))
        message = r"if/1\.png: is 24 x 16 px, its partner .*1\.png is 12 x 8; bring both to one"
        with pytest.raises(ManifestError, match=message):
            pair_up("modality", make_images(["1.png"]), given={"partner": second})


class TestSlides:
    def test_a_plane_is_read_where_the_patch_is(
        self, make_workspace, pair_up, write_planes, planes
    ):
        given = {"partner": write_planes(planes)}
        partner = pair_up("modality", make_workspace(), given=given, mag=20)
        index = [item.region_id for item in partner.source.items].index("region-000/x64-y32")
        cut = planes[1, 20 + 32 : 20 + 64, 40 + 64 : 40 + 96]
        np.testing.assert_array_equal(partner.read(index), np.stack([cut] * 3, axis=2))

    def test_a_transform_says_where_that_is(self, make_workspace, pair_up, write_planes, planes):
        given = {"partner": write_planes(planes), "transform": (1, 0, -7.5, 0, 1, 4)}
        partner = pair_up("modality", make_workspace(), given=given, mag=20)
        cut = planes[1, 20 + 8 : 20 + 40, 40 - 15 : 40 + 17]
        np.testing.assert_array_equal(partner.read(0)[..., 0], cut)

    def test_a_coarser_slide_is_brought_to_the_patches_size(
        self, make_workspace, pair_up, write_planes, planes
    ):
        quarter = planes[:, :150, :200]
        given = {"partner": write_planes(quarter, mpp=1.0)}
        partner = pair_up("modality", make_workspace(), given=given, mag=20)
        whole = Image.fromarray(quarter[1]).resize(SLIDE, Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(partner.read(0)[..., 0], np.asarray(whole)[20:52, 40:72])

    def test_a_finer_slide_is_read_at_the_level_that_is_fine_enough(
        self, make_workspace, pair_up, write_planes, planes
    ):
        partner = pair_up("modality", make_workspace(), given={"partner": write_planes(planes)})
        means = planes[1].reshape(150, 2, 200, 2).mean(axis=(1, 3))  # the file's second level
        found = partner.read(0)[..., 0]  # at 10x
        assert np.abs(found - means[10:42, 20:52]).max() <= 0.5

    def test_an_rgb_slide_needs_no_channels(self, make_workspace, pair_up, tmp_path):
        pixels = np.random.default_rng(2).integers(0, 256, (300, 400, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "ihc.png")
        given = {"partner": tmp_path / "ihc.png", "partner_mpp": 0.5}
        partner = pair_up("modality", make_workspace(), given=given, mag=20)
        np.testing.assert_array_equal(partner.read(0), pixels[20:52, 40:72])

    def test_of_a_folder_go_by_the_slides_names(
        self, make_workspace, pair_up, write_planes, planes
    ):
        for slide_id, plane in (("s1", 0), ("s2", 2)):
            write_planes(np.stack([planes[plane]] * 3), name=f"if/{slide_id}.tif")
        folder = write_planes(planes, name="if/s3.tif").parent
        partner = pair_up(
            "modality", make_workspace(("s1", "s2")), given={"partner": folder}, mag=20
        )
        middle = len(partner.source.items) // 2
        for index, plane in ((0, 0), (middle, 2), (1, 0)):
            place = partner.source.place(index)
            x, y = round(place.x_um / 0.5), round(place.y_um / 0.5)
            found = partner.read(index)[..., 0]
            np.testing.assert_array_equal(found, planes[plane, y : y + 32, x : x + 32])

    def test_names_slides_that_lack_a_partner(self, make_workspace, pair_up, write_planes, planes):
        folder = write_planes(planes, name="if/s1.tif").parent
        with pytest.raises(ManifestError, match="if: 1 of 2 lack a partner here, s2; name partn"):
            pair_up("modality", make_workspace(("s1", "s2")), given={"partner": folder})

    def test_one_slide_is_the_partner_of_one(self, make_workspace, pair_up, write_planes, planes):
        given = {"partner": write_planes(planes)}
        with pytest.raises(
            ConfigError, match="one slide cannot be the partner of 2; give a folder"
        ):
            pair_up("modality", make_workspace(("s1", "s2")), given=given)

    def test_another_store_has_the_same_tissue(self, make_workspace, pair_up):
        other = make_workspace(("x", "s1"), name="other")  # s1 there has other pixels
        given = {"partner": other.root, "transform": (1, 0, 6, 0, 1, 3)}
        partner = pair_up("modality", make_workspace(), given=given)
        region = RegionStore(other.store).read_pixels("s1", "region-000", 10.0)
        np.testing.assert_array_equal(partner.read(0), region[3:35, 6:38])

    def test_refuses_patches_outside_of_the_regions_of_another_store(self, make_workspace, pair_up):
        other = make_workspace(name="other")
        given = {"partner": other.store, "transform": (1, 0, -6, 0, 1, 0)}
        with pytest.raises(ConfigError, match=r"3 of 12 patches are outside the partner slide"):
            pair_up("modality", make_workspace(), given=given)

    def test_says_which_patch_a_transform_puts_outside(
        self, make_workspace, pair_up, write_planes, planes
    ):
        given = {"partner": write_planes(planes), "transform": (1, 0, 100, 0, 1, 0)}
        message = (
            r"if\.ome\.tif: 6 of 12 patches are outside the partner slide, the first is "
            r"s1/region-000/x64-y0 at x 184 to 216 and y 10 to 42 µm of a slide of 200 x 150 µm; "
            r"correct --transform"
        )
        with pytest.raises(ConfigError, match=message):
            pair_up("modality", make_workspace(), given=given)

    def test_asks_for_a_resolution_where_none_is_stated(
        self, make_workspace, pair_up, write_planes, planes
    ):
        given = {"partner": write_planes(planes, mpp=None)}
        with pytest.raises(
            MissingResolutionError, match=r"no µm per pixel known; state it with --p"
        ):
            pair_up("modality", make_workspace(), given=given)
        given["partner_mpp"] = 0.5
        assert pair_up("modality", make_workspace(), given=given).size == (32, 32)

    def test_refuses_a_partner_that_is_not_there(self, make_workspace, pair_up, tmp_path):
        with pytest.raises(ConfigError, match="gone: no such file or folder; correct --partner"):
            pair_up("modality", make_workspace(), given={"partner": tmp_path / "gone"})
        with pytest.raises(ConfigError, match="--partner is required by --pairing modality"):
            pair_up("modality", make_workspace())

    def test_the_fingerprint_changes_with_file_channel_and_transform(
        self, make_workspace, pair_up, write_planes, planes
    ):
        path, workspace = write_planes(planes), make_workspace()
        variants = [{}, {"channels": (0,)}, {"transform": (1, 0, 1, 0, 1, 0)}, {"partner_mpp": 0.6}]
        found = {
            pair_up("modality", workspace, given={"partner": path, **given}).fingerprint
            for given in [*variants, {"channels": ("pan-ck",)}]  # the default's own channel
        }
        assert len(found) == len(variants)
        write_planes(255 - planes)
        assert pair_up("modality", workspace, given={"partner": path}).fingerprint not in found


def test_the_panels_of_deepliif_pair_as_two_folders(shared_data, tmp_path, pair_up):
    panels = {}
    for path in sorted((shared_data / "pairs_deepliif" / "train").glob("*.png")):
        picture = np.asarray(Image.open(path).convert("RGB"))
        for number, name in ((0, "ihc"), (2, "dapi")):
            panel = picture[:, 512 * number : 512 * (number + 1)]
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(panel).save(tmp_path / name / path.name)
            panels[name, path.stem] = panel
    partner = pair_up("modality", tmp_path / "ihc", given={"partner": tmp_path / "dapi"}, mag=40)
    packed = partner.pack(tmp_path / "cache")
    assert packed.shape == (2, 512, 512, 3)
    assert isinstance(partner.source, FolderPatches)
    for index, item in enumerate(partner.source.items):
        np.testing.assert_array_equal(packed[index], panels["dapi", item.slide_id])
        np.testing.assert_array_equal(partner.source.read(index), panels["ihc", item.slide_id])


def test_the_channels_of_a_broken_tiff_are_refused_by_name(make_workspace, pair_up, tmp_path):
    path = tmp_path / "float.tif"
    tifffile.imwrite(path, np.zeros((3, 300, 400), np.float32), photometric="minisblack")
    with pytest.raises(SlideError, match="must have 8 bits a channel, has float32"):
        pair_up("modality", make_workspace(), given={"partner": path})
