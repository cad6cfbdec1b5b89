"""What every pairing promises, also one that is added tomorrow."""

import numpy as np
import pytest
from PIL import Image
from shapely import box

from tests.builders import slide_record
from wsikd.data.pairs import PAIRS, PairingSettings, open_partner, open_views
from wsikd.data.patches import PatchSettings, open_patches
from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.pyramid.levels import PyramidSettings, build_pyramid, plan_levels
from wsikd.slides import ArrayReader
from wsikd.store import SlideWriter
from wsikd.store.labels import LabelFrame, LabelWriter, labels_path, levels_of
from wsikd.tissue.geojson import to_geojson
from wsikd.workspace import Workspace

MPP = Mpp(1.0, 1.0)
BOX = Region(0, 0, Size(64, 48))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a folder with everything that some pairing needs."""
    root = tmp_path_factory.mktemp("pairs")
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    write_store(root / "cohort", pixels)
    Image.fromarray(255 - pixels).save(root / "other.png")
    for number in range(6):
        patch = pixels[16 * (number // 3) :][:16, 16 * (number % 3) :][:, :16]
        for folder, image in (("images", patch), ("others", 255 - patch), ("masks", patch // 64)):
            path = root / folder / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0] if folder == "masks" else image).save(path)
    return root


def write_store(folder, pixels):
    workspace = Workspace(folder)
    tissue = TissueRegion(0, BOX, box(0, 0, 64, 48))
    levels = plan_levels(BOX.size, MPP, PyramidSettings(magnifications=(10, 5)))
    writer = SlideWriter(workspace.store, "s1")
    with ArrayReader(pixels) as slide:
        region = writer.write_region(tissue, MPP, levels, build_pyramid(slide, BOX, levels))
    record = slide_record("s1", (region,), (64, 48), MPP, mpp_source="file")
    writer.commit(record, to_geojson([tissue], MPP), pixels)
    workspace.manifest.write_text("slide_id,path,patient_id,label,split\ns1,s1.svs,p1,a,train\n")
    labels = (pixels[..., 0] // 64).astype(np.uint8)
    path = labels_path(workspace.runs / "segment" / "labels", "s1", region.region_id)
    with LabelWriter(path, LabelFrame(BOX, MPP), levels_of(region, 10.0)) as writer:
        writer.push(labels)


def settings_of(pairing, root, place):
    """Return the settings that a pairing needs; all others stay as they are."""
    modality = root / ("others" if place == "images" else "other.png")
    mask = root / ("masks" if place == "images" else "cohort/runs/segment")
    needed = {
        "modality": {"partner": modality, "partner_mpp": 1.0},
        "mask": {"partner": mask, "mask_classes": 4},
        "magnification": {"partner_mag": 5},
    }
    return PairingSettings(pairing=pairing, **needed.get(pairing, {}))


def open_source(root, place):
    given = {"images": root / "images"} if place == "images" else {}
    return open_patches(PatchSettings(patch=16, mag=10, **given), Workspace(root / "cohort"))


CASES = [
    (pairing, place)
    for pairing in PAIRS
    for place in ("images", "regions")
    if (pairing, place) != ("magnification", "images")  # images have one magnification
]


@pytest.mark.parametrize(("pairing", "place"), CASES)
class TestEveryPairing:
    @pytest.fixture
    def partner(self, root, pairing, place):
        return open_partner(settings_of(pairing, root, place), open_source(root, place))

    def test_gives_an_rgb_image_of_its_size_for_every_patch(self, partner):
        for index in range(len(partner.source.items)):
            image = partner.read(index)
            assert image.dtype == np.uint8
            assert image.shape == (partner.size.height, partner.size.width, 3)
        assert len({partner.read(index).tobytes() for index in range(6)}) == 6

    def test_gives_the_same_image_in_any_order_and_packed(self, partner, tmp_path):
        backwards = [partner.read(index) for index in reversed(range(len(partner.source.items)))]
        np.testing.assert_array_equal(partner.pack(tmp_path), backwards[::-1])

    def test_shows_as_much_tissue_as_the_patch(self, partner):
        assert partner.size.width * partner.source.magnification == pytest.approx(
            partner.source.size.width * partner.magnification
        )

    def test_is_known_by_its_fingerprint(self, partner, root, pairing, place):
        again = open_partner(settings_of(pairing, root, place), open_source(root, place))
        assert again.fingerprint == partner.fingerprint
        others = [
            open_partner(settings_of(name, root, place), partner.source).fingerprint
            for name, where in CASES
            if where == place and name != pairing
        ]
        assert partner.fingerprint not in others

    def test_leaves_its_source_as_it_is(self, partner):
        before = partner.source.read(0).copy()
        partner.read(0)
        np.testing.assert_array_equal(partner.source.read(0), before)

    def test_shows_both_branches_the_same_where_that_is_asked(self, root, pairing, place):
        settings = settings_of(pairing, root, place).model_copy(update={"symmetric": True})
        views = open_views(settings, open_source(root, place))
        assert views["primary"].fingerprint == views["privileged"].fingerprint
