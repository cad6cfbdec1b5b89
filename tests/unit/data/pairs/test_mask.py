import numpy as np
import pytest
from PIL import Image

from wsikd.data.pairs.mask import paint
from wsikd.errors import ConfigError, ManifestError, SlideError, StoreError
from wsikd.geometry import Mpp, Region, Size
from wsikd.store import RegionStore
from wsikd.store.labels import LabelFrame, LabelWriter, labels_path, levels_of


class TestImages:
    def masks(self, tmp_path, labels, mode=None):
        path = tmp_path / "masks" / "1.png"
        path.parent.mkdir(exist_ok=True)
        image = Image.fromarray(labels)
        if mode == "P":
            image.putpalette([7, 0, 0, 9, 9, 9] * 128)
        image.save(path)
        return path.parent

    @pytest.mark.parametrize(
        ("classes", "expected"), [(None, [0, 1, 2, 5]), (6, [0, 51, 102, 255])]
    )
    def test_spreads_classes_or_leaves_their_numbers(
        self, make_images, pair_up, tmp_path, classes, expected
    ):
        labels = np.array([[0, 1], [2, 5]], np.uint8)
        given = {"partner": self.masks(tmp_path, labels), "mask_classes": classes}
        found = pair_up("mask", make_images(["1.png"], size=(2, 2)), given=given).read(0)
        np.testing.assert_array_equal(found, np.reshape(expected * 3, (3, 2, 2)).transpose(1, 2, 0))

    @pytest.mark.parametrize("kind", ["palette", "16 bit", "three channels"])
    def test_takes_the_numbers_however_they_are_stored(self, make_images, pair_up, tmp_path, kind):
        labels = np.array([[0, 1], [2, 5]], np.uint8)
        stored = {"16 bit": labels.astype(np.uint16), "three channels": np.stack([labels] * 3, 2)}
        folder = self.masks(tmp_path, stored.get(kind, labels), "P" if kind == "palette" else None)
        found = pair_up("mask", make_images(["1.png"], size=(2, 2)), given={"partner": folder})
        np.testing.assert_array_equal(found.read(0)[..., 2], labels)

    @pytest.mark.parametrize(
        ("labels", "classes", "message"),
        [
            (np.full((2, 2), 6, np.uint8), 6, "labels must be at most 5, got 6; raise --mask-cl"),
            (np.full((2, 2), 900, np.uint16), None, "must be at most 255, got 900; paint classes"),
            (np.arange(12, dtype=np.uint8).reshape(2, 2, 3), None, "whole numbers in one channel"),
        ],
    )
    def test_refuses_what_is_no_class(
        self, make_images, pair_up, tmp_path, labels, classes, message
    ):
        given = {"partner": self.masks(tmp_path, labels), "mask_classes": classes}
        partner = pair_up("mask", make_images(["1.png"], size=(2, 2)), given=given)
        with pytest.raises(SlideError, match=message):
            partner.read(0)

    def test_refuses_images_without_a_mask_or_of_another_size(self, make_images, pair_up, tmp_path):
        folder = self.masks(tmp_path, np.zeros((2, 2), np.uint8))
        with pytest.raises(ManifestError, match="1 of 2 lack a partner here, 2; add them"):
            pair_up("mask", make_images(["1.png", "2.png"]), given={"partner": folder})
        with pytest.raises(ManifestError, match=r"is 2 x 2 px, its partner .* is 12 x 8; bring"):
            pair_up("mask", make_images(["1.png"], name="one"), given={"partner": folder})


class TestRegions:
    def segmented(self, workspace, tmp_path, mag=10.0, slides=("s1",)):
        run = tmp_path / "runs" / "segment"
        store = RegionStore(workspace.store)
        for number, slide_id in enumerate(slides):
            (region,) = store.read_slide(slide_id).regions
            level = region.level(mag)
            labels = np.random.default_rng(number).integers(0, 6, (level.height, level.width))
            path = labels_path(run / "labels", slide_id, region.region_id)
            box = Region(region.x, region.y, Size(region.width, region.height))
            frame = LabelFrame(box, Mpp(0.5, 0.5))
            with LabelWriter(path, frame, levels_of(region, mag)) as writer:
                writer.push(labels.astype(np.uint8))
        return run

    def test_cuts_the_labels_where_the_patch_is(self, make_workspace, pair_up, tmp_path):
        workspace = make_workspace(("s1", "s2"))
        run = self.segmented(workspace, tmp_path, slides=("s1", "s2"))
        given = {"partner": run, "mask_classes": 6}
        partner = pair_up("mask", workspace, given=given)
        labels = np.random.default_rng(1).integers(0, 6, (120, 160))
        index = [partner.source.name(i) for i in range(24)].index("s2/region-000/x32-y64")
        np.testing.assert_array_equal(partner.read(index)[..., 0], 51 * labels[64:96, 32:64])

    def test_names_regions_without_labels(self, make_workspace, pair_up, tmp_path):
        workspace = make_workspace(("s1", "s2"))
        run = self.segmented(workspace, tmp_path)
        message = r"1 of 2 regions have no labels, the first is s2/region-000\.ome\.zarr; segment"
        with pytest.raises(StoreError, match=message):
            pair_up("mask", workspace, given={"partner": run})

    def test_refuses_labels_at_other_magnifications(self, make_workspace, pair_up, tmp_path):
        workspace = make_workspace()
        run = self.segmented(workspace, tmp_path, 5.0)
        with pytest.raises(StoreError, match="has no labels at 10x, only 5x; choose one of those"):
            pair_up("mask", workspace, given={"partner": run})

    def test_refuses_a_folder_that_is_no_run(self, make_workspace, pair_up, tmp_path):
        with pytest.raises(ConfigError, match="labels: no such folder; --partner must be a run"):
            pair_up("mask", make_workspace(), given={"partner": tmp_path})


def test_256_classes_keep_their_numbers():
    labels = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(paint(labels, 256, "mask")[..., 1], labels)
