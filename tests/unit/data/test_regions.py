import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from wsikd.data import regions
from wsikd.data.regions import RegionDataset, RegionItem, list_items, unprepared_slides
from wsikd.errors import ManifestError, StoreError

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


class TestRegionDataset:
    def items(self, store, manifest):
        return list_items(store, manifest, ("train", "auxiliary"))

    def test_gives_the_views_that_the_store_holds(self, store, manifest, images):
        dataset = RegionDataset(store, self.items(store, manifest), VIEWS, ("colon", "liver"))
        assert len(dataset) == 4
        item = dataset[1]
        for name, expected in zip(VIEWS, images["a"][1], strict=True):
            assert item[name].dtype == torch.uint8
            assert item[name].is_contiguous()
            np.testing.assert_array_equal(item[name].permute(1, 2, 0), expected)

    def test_reads_a_view_once_as_long_as_there_is_room(self, store, manifest, monkeypatch):
        reads, read = [], store.read_pixels

        def note(*place):
            reads.append(place)
            return read(*place)

        monkeypatch.setattr(store, "read_pixels", note)
        dataset = RegionDataset(store, self.items(store, manifest), VIEWS, ("colon", "liver"))
        first, again = dataset[1], dataset[1]
        assert [place[2] for place in reads] == [10.0, 2.5]
        assert all(torch.equal(first[name], again[name]) for name in VIEWS)
        monkeypatch.setattr(regions, "_KEPT_BYTES", first["student"].nbytes)
        narrow = RegionDataset(store, self.items(store, manifest), VIEWS, ("colon", "liver"))
        reads.clear()
        assert all(torch.equal(narrow[1][name], first[name]) for name in VIEWS for _ in range(2))
        assert [place[2] for place in reads].count(2.5) == 1

    def test_labels_by_the_place_among_the_classes(self, store, manifest):
        dataset = RegionDataset(store, self.items(store, manifest), {}, ("liver", "colon"))
        assert [int(dataset[index]["label"]) for index in range(4)] == [1, 1, -1, 0]
        assert [int(dataset[index]["index"]) for index in range(4)] == [0, 1, 2, 3]

    def test_refuses_a_label_that_the_model_does_not_know(self, store, manifest):
        with pytest.raises(ManifestError, match="slide b: label 'liver' must be one of colon"):
            RegionDataset(store, self.items(store, manifest), VIEWS, ("colon",))

    def test_takes_an_auxiliary_slide_of_a_foreign_label_as_unlabelled(self, store, manifest):
        items = list_items(store, manifest.replace({"label": {"": "skin"}}), ("auxiliary",))
        assert int(RegionDataset(store, items, {}, ("colon",))[0]["label"]) == -1

    def test_refuses_a_magnification_that_was_not_prepared(self, store, manifest):
        dataset = RegionDataset(
            store, self.items(store, manifest), {"image": 5.0}, ("colon", "liver")
        )
        with pytest.raises(StoreError, match=r"5x was not prepared, only 10x, 2\.5x"):
            dataset[0]

    def test_travels_to_another_process(self, store, manifest):
        dataset = RegionDataset(store, self.items(store, manifest), VIEWS, ("colon", "liver"))
        travelled = pickle.loads(pickle.dumps(dataset))
        assert torch.equal(travelled[2]["student"], dataset[2]["student"])
