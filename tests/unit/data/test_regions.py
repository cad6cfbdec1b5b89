import numpy as np
import pandas as pd
import pytest
import torch

from wsikd.data.held import HeldPixels, RegionViews, Room, count_bytes, find_room
from wsikd.data.regions import RegionItem, labels_of, list_items, unprepared_slides
from wsikd.errors import ConfigError, ManifestError, StoreError

VIEWS = {"teacher": 10.0, "student": 2.5}


@pytest.fixture
def manifest():
    rows = [
        ("failed", "p4", "train", "colon"),
        ("c", "p3", "val", "liver"),
        ("b", "p2", "train", "liver"),
        ("a", "p1", "train", "colon"),
        ("aux", "p5", "auxiliary", ""),
    ]
    columns = ["slide_id", "patient_id", "split", "label"]
    return pd.DataFrame(rows, columns=columns, dtype=str).assign(fold="")


def test_lists_every_region_of_the_splits_by_slide(store, manifest):
    assert list_items(store, manifest, ("train", "val")) == [
        RegionItem("a", "p1", "region-000", "train", "colon"),
        RegionItem("a", "p1", "region-001", "train", "colon"),
        RegionItem("b", "p2", "region-000", "train", "liver"),
        RegionItem("c", "p3", "region-000", "val", "liver"),
    ]


def test_lists_auxiliary_slides_without_a_label(store, manifest):
    assert list_items(store, manifest, ("auxiliary",)) == [
        RegionItem("aux", "p5", "region-000", "auxiliary", "")
    ]


def test_names_the_slides_that_were_not_prepared(store, manifest):
    assert unprepared_slides(store, manifest) == ["failed"]
    assert unprepared_slides(store, manifest.assign(split="")) == []
    assert unprepared_slides(store, manifest.assign(split="", fold="0")) == ["failed"]


def test_refuses_a_class_of_which_no_training_slide_was_prepared(store, manifest):
    manifest.loc[manifest["slide_id"] == "failed", "label"] = "stomach"
    with pytest.raises(StoreError, match="no training slide of label 'stomach' was prepared; see"):
        list_items(store, manifest, ("train",))
    assert len(list_items(store, manifest, ("val",))) == 1


class TestLabels:
    def test_are_the_places_among_the_classes(self, store, manifest):
        items = list_items(store, manifest, ("train", "auxiliary"))
        assert labels_of(items, ("liver", "colon")) == [1, 1, -1, 0]

    def test_that_the_model_does_not_know_are_refused(self, store, manifest):
        items = list_items(store, manifest, ("train", "auxiliary"))
        with pytest.raises(ManifestError, match="slide b: label 'liver' must be one of colon"):
            labels_of(items, ("colon",))

    def test_of_an_auxiliary_slide_may_be_foreign(self, store, manifest):
        items = list_items(store, manifest.replace({"label": {"": "skin"}}), ("auxiliary",))
        assert labels_of(items, ("colon",)) == [-1]


def pixels_of(store, room=0):
    return HeldPixels(store, Room(room, torch.device("cpu"), ""))


class TestRegionViews:
    def views(self, store, manifest, views=VIEWS, room=0):
        items = list_items(store, manifest, ("train", "auxiliary"))
        return RegionViews(pixels_of(store, room), items, views)

    def test_are_what_the_store_holds(self, store, manifest, images):
        views = self.views(store, manifest)
        assert len(views) == 4
        item = views.read(1)
        for name, expected in zip(VIEWS, images["a"][1], strict=True):
            assert item[name].dtype == torch.uint8
            assert item[name].is_contiguous()
            np.testing.assert_array_equal(item[name].permute(1, 2, 0), expected)
        height, width = images["a"][1][0].shape[:2]
        assert views.size(1) == (width, height)

    def test_are_read_once_as_long_as_there_is_room(self, store, manifest, monkeypatch):
        reads, read = [], store.read_pixels

        def note(*place):
            reads.append(place)
            return read(*place)

        monkeypatch.setattr(store, "read_pixels", note)
        views = self.views(store, manifest, room=10**9)
        first, again = views.read(1), views.read(1)
        assert [place[2] for place in reads] == [10.0, 2.5]
        assert all(torch.equal(first[name], again[name]) for name in VIEWS)
        narrow = self.views(store, manifest, room=first["student"].nbytes)
        reads.clear()
        assert all(torch.equal(narrow.read(1)[name], first[name]) for name in VIEWS for _ in "ab")
        assert [place[2] for place in reads].count(2.5) == 1

    def test_need_not_all_be_read(self, store, manifest):
        assert list(self.views(store, manifest).read(0, ["teacher"])) == ["student"]

    def test_of_a_magnification_that_was_not_prepared_are_refused(self, store, manifest):
        views = self.views(store, manifest, {"image": 5.0})
        with pytest.raises(StoreError, match=r"5x was not prepared, only 10x, 2\.5x"):
            views.read(0)


class TestRoom:
    CPU = torch.device("cpu")

    def test_is_the_bytes_of_every_region_once(self, store, manifest, images):
        items = list_items(store, manifest, ("train", "auxiliary"))
        bytes_of = sum(views[0].nbytes for slide in images.values() for views in slide)
        found = count_bytes(store, [*items, *items], [10.0, 10.0])
        listed = {(item.slide_id, item.region_id) for item in items}
        expected = sum(store.read_pixels(slide, region, 10.0).nbytes for slide, region in listed)
        assert found == expected <= bytes_of

    def test_is_all_of_what_fits_and_part_of_what_does_not(self):
        assert find_room("auto", 1000, self.CPU).bytes == 1000
        much = find_room("auto", 10**15, self.CPU)
        assert 0 < much.bytes < 10**15
        assert "of 1.0 PB of regions stay in memory" in much.told
        assert find_room("none", 1000, self.CPU).bytes == 0

    def test_that_is_asked_for_and_is_not_there_is_refused_with_both_sizes(self):
        with pytest.raises(ConfigError, match=r"ram keeps 1\.0 PB .* of the [\d.]+ \wB that"):
            find_room("ram", 10**15, self.CPU)
        with pytest.raises(ConfigError, match="--resident gpu needs a GPU, the device is cpu"):
            find_room("gpu", 1, self.CPU)

    def test_what_does_not_fit_on_the_gpu_is_refused_with_both_sizes(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (3 * 2**30, 2**36))
        said = (
            r"gpu keeps 2\.1 GB of regions, more than 33% of the 3\.2 GB that are free; take --res"
        )
        with pytest.raises(ConfigError, match=said):
            find_room("gpu", 2**31, torch.device("cuda"))
        assert find_room("gpu", 2**30, torch.device("cuda")).device.type == "cuda"
