import numpy as np
import pytest
from PIL import Image

from wsikd.data.patches import PatchSettings
from wsikd.data.patches.folders import FolderPatches
from wsikd.errors import ConfigError, ManifestError, NothingUsableError, SlideError

CLASSES = ["ADI/1.tif", "ADI/2.tif", "TUM/3.tif"]


def open_folder(folder, **given):
    return FolderPatches(folder, PatchSettings(**{"mag": 20, **given}))


def test_takes_the_classes_from_subfolders(make_images):
    source = open_folder(make_images(CLASSES))
    assert [tuple(item) for item in source.items] == [
        ("1", "1", "image", "train", "ADI"),
        ("2", "2", "image", "train", "ADI"),
        ("3", "3", "image", "train", "TUM"),
    ]
    assert source.keys == ("ADI/1", "ADI/2", "TUM/3")
    assert source.size == (12, 8)


def test_takes_flat_images_as_unlabelled(make_images):
    source = open_folder(make_images(["b.png", "a.png"]))
    assert [item.slide_id for item in source.items] == ["a", "b"]
    assert {(item.split, item.label) for item in source.items} == {("auxiliary", "")}


def test_reads_the_pixels_of_a_file(make_images):
    source = open_folder(make_images(CLASSES, seed=4))
    expected = np.random.default_rng(6).integers(0, 256, (8, 12, 3), np.uint8)
    np.testing.assert_array_equal(source.read(2), expected)


def test_images_of_a_second_folder_are_for_testing(make_images):
    tested = make_images(["ADI/4.tif"], name="validation")
    source = open_folder(make_images(CLASSES), test_images=tested)
    assert source.items[3] == ("4", "4", "image", "test", "ADI")
    assert list(source.table["split"]) == ["train", "train", "train", "test"]


def test_names_images_after_their_folder_too_where_files_share_a_name(make_images):
    source = open_folder(make_images(["ADI/1.png", "TUM/1.png", "TUM/2.png"]))
    assert [item.slide_id for item in source.items] == ["ADI-1", "TUM-1", "2"]


def test_refuses_images_that_cannot_be_told_apart(make_images):
    folder = make_images(["ADI/1.png"])
    tested = make_images(["ADI/1.png"], name="validation")
    with pytest.raises(ManifestError, match=r"images must have names of their own.* both '1'; re"):
        open_folder(folder, test_images=tested)


class TestTable:
    def write(self, folder, text):
        path = folder / "labels.csv"
        path.write_text(text)
        return path

    def test_lists_the_images_with_their_patients_and_labels(self, make_images):
        folder = make_images(CLASSES)
        text = "path,label,case\nTUM/3.tif,tumour,c1\nADI/1.tif,,c2\n"
        source = open_folder(folder, table=self.write(folder, text))
        assert [tuple(item) for item in source.items] == [
            ("3", "c1", "image", "train", "tumour"),
            ("1", "c2", "image", "train", "ADI"),
        ]
        assert source.keys == ("TUM/3", "ADI/1")

    def test_may_lie_elsewhere_and_give_folds(self, make_images, tmp_path):
        folder = make_images(CLASSES)
        table = self.write(tmp_path, "path,fold\nADI/1.tif,0\nADI/2.tif,1\nTUM/3.tif,2\n")
        source = open_folder(folder, table=table)
        assert list(source.table["fold"]) == ["0", "1", "2"]
        assert list(source.table["split"]) == ["", "", ""]
        assert source.paths[0] == folder / "ADI" / "1.tif"

    def test_refuses_images_that_are_not_there(self, make_images):
        folder = make_images(CLASSES)
        table = self.write(folder, "path,label\nADI/1.tif,a\nADI/8.tif,a\nADI/9.tif,a\n")
        with pytest.raises(ManifestError, match=r"2 of 3 images are not there, the first is .*8\."):
            open_folder(folder, table=table)


def test_refuses_images_of_two_sizes(make_images):
    make_images(["ADI/9.png"], size=(12, 9))
    with pytest.raises(ManifestError, match=r"9\.png: is 12 x 9 px, 1\.tif is 12 x 8; bring all"):
        open_folder(make_images(CLASSES))


def test_asks_for_the_magnification(make_images):
    with pytest.raises(ConfigError, match="--mag is required by --images: the images' magn"):
        open_folder(make_images(CLASSES), mag=None)


def test_refuses_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(NothingUsableError, match=r"holds no image \(\.png, "):
        open_folder(tmp_path)
    with pytest.raises(ManifestError, match="gone: no such folder"):
        open_folder(tmp_path / "gone")


def test_refuses_images_beside_class_folders(make_images):
    with pytest.raises(ManifestError, match=r"0\.png is beside ADI; move it"):
        open_folder(make_images([*CLASSES, "0.png"]))


def test_names_a_file_that_is_no_image(make_images):
    folder = make_images(CLASSES)
    (folder / "ADI" / "2.tif").write_bytes(b"broken")
    with pytest.raises(SlideError, match=r"2\.tif: cannot be opened as an image"):
        open_folder(folder)


def test_the_fingerprint_is_of_names_and_pixels(make_images):
    folder = make_images(CLASSES)
    before = open_folder(folder).fingerprint
    assert open_folder(folder, mag=10).fingerprint == before
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(folder / "TUM" / "3.tif")
    changed = open_folder(folder).fingerprint
    assert changed != before
    (folder / "TUM" / "3.tif").rename(folder / "TUM" / "4.tif")
    assert open_folder(folder).fingerprint not in (before, changed)
