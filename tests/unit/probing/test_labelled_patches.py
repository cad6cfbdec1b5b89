from itertools import pairwise

import pandas as pd
import pytest

from wsikd.data.patches import PatchSettings, PatchSource
from wsikd.data.regions import RegionItem
from wsikd.geometry import Size
from wsikd.probing.labelled_patches import LabelledPatches, label_of


class ListedPatches(PatchSource):
    """Patches of a table, without pixels."""

    size, magnification, fingerprint, origin = Size(96, 96), 2.5, "f", "here"

    def __init__(self, table):
        self.table = table
        rows = table[["slide_id", "patient_id", "slide_id", "split", "label"]]
        self.items = tuple(RegionItem(*row) for row in rows.itertuples(index=False, name=None))

    def read(self, index):
        raise AssertionError

    def place(self, index):
        return None


@pytest.fixture
def patches(tmp_path):
    """Return 120 patches in three folds: labels a, b, a few c, and some without."""
    labels = ["a" if k % 2 else "b" if k % 3 else "c" if k > 90 else "" for k in range(120)]
    names = [f"s{k}" for k in range(120)]
    table = pd.DataFrame({"slide_id": names, "patient_id": names, "path": "", "label": labels})
    table = table.assign(split="", fold=[str(k // 6 % 3) for k in range(120)])
    source = ListedPatches(table)
    return LabelledPatches(source, source, "mine", "mine", tmp_path)


def test_patches_without_a_label_take_no_part(patches):
    dealt = patches.deal(2, 100, seed=0)
    assert patches.rows == [k for k in range(120) if k % 2 or k % 3 or k > 90]
    assert list(dealt.index) == patches.rows
    assert dealt["slide_id"].tolist() == [f"s{k}" for k in patches.rows]
    assert patches.classes == ("a", "b", "c")


def test_a_share_is_of_each_class_and_never_nothing(tmp_path):
    labels = ["a"] * 60 + ["b"] * 20 + ["c"] * 3 + ["a", "b", "c"]
    names = [f"s{k}" for k in range(86)]
    table = pd.DataFrame({"slide_id": names, "patient_id": names, "path": "", "label": labels})
    source = ListedPatches(table.assign(split=["train"] * 83 + ["test"] * 3, fold=""))
    patches = LabelledPatches(source, source, "mine", "mine", tmp_path)
    dealt = patches.deal(None, 10, seed=0)
    assert dealt.loc[dealt["train"], "label"].value_counts().to_dict() == {"a": 6, "b": 2, "c": 1}
    assert (dealt.loc[dealt["train"], "split"] == "train").all()


def test_a_larger_share_contains_the_smaller_one(patches):
    shares = [patches.deal(2, percent, seed=3)["train"] for percent in (1, 5, 10, 50, 100)]
    for smaller, larger in pairwise(shares):
        assert larger[smaller].all()
    whole = patches.deal(2, 100, seed=3)
    assert (shares[-1] == (whole["split"] == "train")).all()


def test_the_seed_chooses_the_share(patches):
    first, second = (patches.deal(2, 20, seed=seed)["train"] for seed in (0, 1))
    assert first.equals(patches.deal(2, 20, seed=0)["train"])
    assert not first.equals(second)


def test_patches_are_named_after_their_folder_or_magnification(patches, tmp_path):
    source = ListedPatches(pd.DataFrame(columns=["slide_id", "patient_id", "split", "label"]))
    assert label_of(PatchSettings(), source) == "2.5x-96px"
    odd = PatchSettings(images=tmp_path / "NCT CRC (100K)", mag=20)
    assert label_of(odd, source) == "NCT-CRC-100K-96px"
