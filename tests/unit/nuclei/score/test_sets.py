from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from wsikd.errors import ManifestError, NothingUsableError
from wsikd.nuclei.score.sets import LAYOUTS, LabelledImage, open_nuclei_set, split_images

NUMBERS = np.array([[0, 1, 1, 0], [0, 0, 2, 2], [3, 0, 0, 0]], np.int32)
TOGETHER = [[0, 1, 1, 0], [0, 0, 1, 1], [2, 0, 0, 0]]  # as a mask tells of them
XML = (
    "<Annotations><Annotation><Regions><Region><Vertices>"
    '<Vertex X="0.5" Y="-0.5"/><Vertex X="2.5" Y="-0.5"/><Vertex X="2.5" Y="0.5"/>'
    '<Vertex X="0.5" Y="0.5"/></Vertices></Region></Regions></Annotation></Annotations>'
)
OUTLINED = [[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def picture(path, seed=0, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, lossless=True)
    return pixels


def numbers(path, kind=np.uint16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(NUMBERS.astype(kind)).save(path)


def monuseg(folder):
    train, test = folder / "MoNuSeg 2018 Training Data", folder / "MoNuSegTestData"
    for name in ("TCGA-18-5592-01Z-00-DX1", "TCGA-38-6178-01Z-00-DX1"):
        picture(train / "Tissue Images" / f"{name}.tif")
        (train / "Annotations").mkdir(exist_ok=True)
        (train / "Annotations" / f"{name}.xml").write_text(XML)
    picture(test / "TCGA-2Z-A9J9-01A-01-TS1.tif")
    (test / "TCGA-2Z-A9J9-01A-01-TS1.xml").write_text(XML)
    (test / "._TCGA-2Z-A9J9-01A-01-TS1.xml").write_bytes(b"\0")


def consep(folder):
    for part, name in (("Train", "train_1"), ("Train", "train_2"), ("Test", "test_1")):
        picture(folder / part / "Images" / f"{name}.png")
        (folder / part / "Labels").mkdir(exist_ok=True)
        savemat(folder / part / "Labels" / f"{name}.mat", {"inst_map": NUMBERS.astype(float)})


def tnbc(folder):
    for slide, name in (("01", "01_1"), ("01", "01_2"), ("02", "02_1")):
        picture(folder / f"Slide_{slide}" / f"{name}.png")
        (folder / f"GT_{slide}").mkdir(exist_ok=True)
        grey = Image.fromarray((NUMBERS > 0).astype(np.uint8) * 255)
        grey.save(folder / f"GT_{slide}" / f"{name}.png")


def table(folder):
    lines = ["name,image,mask,mask_kind,challenge_part,patient_id,mpp"]
    for name, part, patient in (("a-1", "train", "a"), ("a-2", "train", "a"), ("b-1", "test", "b")):
        picture(folder / "images" / f"{name}.webp")
        numbers(folder / "masks" / f"{name}.png")
        lines.append(f"{name},images/{name}.webp,masks/{name}.png,instance16,{part},{patient},0.5")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def pairs(folder):
    for name in ("c", "d", "e"):
        picture(folder / "images" / f"{name}.png", mode="RGBA")
        numbers(folder / "instances" / f"{name}.png")


WRITERS = {"monuseg": monuseg, "consep": consep, "tnbc": tnbc, "table": table, "pairs": pairs}


@pytest.mark.parametrize("kind", LAYOUTS)
class TestEveryKind:
    def test_is_recognised_by_its_layout_and_reads_what_was_drawn(self, tmp_path, kind):
        WRITERS[kind](tmp_path)
        images = open_nuclei_set(tmp_path)
        assert images == open_nuclei_set(tmp_path, kind)
        assert [image.name for image in images] == sorted(image.name for image in images)
        assert len(images) == 3
        expected = {"monuseg": OUTLINED, "tnbc": TOGETHER}.get(kind, NUMBERS)
        for image in images:
            found = image.read_instances()
            assert found.dtype == np.int32
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(image.read_pixels(), picture(tmp_path / "again.png"))

    def test_names_an_image_whose_truth_is_missing(self, tmp_path, kind):
        WRITERS[kind](tmp_path)
        first = open_nuclei_set(tmp_path)[0]
        first.truth.unlink()
        with pytest.raises(ManifestError, match=rf"{first.truth.stem}\.(tif|png).*(add it|is not)"):
            open_nuclei_set(tmp_path)

    def test_names_a_truth_whose_image_is_missing(self, tmp_path, kind):
        WRITERS[kind](tmp_path)
        first = open_nuclei_set(tmp_path)[0]
        first.image.unlink()
        with pytest.raises(ManifestError, match=f"{first.image.stem}.*(has no image|is not there)"):
            open_nuclei_set(tmp_path)

    def test_is_not_another_kind(self, tmp_path, kind):
        WRITERS[kind](tmp_path)
        others = [name for name, layout in LAYOUTS.items() if layout.recognises(tmp_path)]
        assert others == [kind]


def test_each_kind_says_what_it_knows_of_its_images(tmp_path):
    known = {}
    for kind, write in WRITERS.items():
        (tmp_path / kind).mkdir()
        write(tmp_path / kind)
        images = open_nuclei_set(tmp_path / kind)
        known[kind] = [(image.patient_id, image.split, image.mpp) for image in images]
    assert known == {
        "monuseg": [
            ("TCGA-18-5592", "train", 0.25),
            ("TCGA-2Z-A9J9", "test", 0.25),
            ("TCGA-38-6178", "train", 0.25),
        ],
        "consep": [
            ("test_1", "test", 0.25),
            ("train_1", "train", 0.25),
            ("train_2", "train", 0.25),
        ],
        "tnbc": [("Slide_01", "", 0.25), ("Slide_01", "", 0.25), ("Slide_02", "", 0.25)],
        "table": [("a", "train", 0.5), ("a", "train", 0.5), ("b", "test", 0.5)],
        "pairs": [("c", "", None), ("d", "", None), ("e", "", None)],
    }


def test_refuses_folders_that_hold_no_set(tmp_path):
    with pytest.raises(NothingUsableError, match=r"must be laid out as a set of nuclei \(monuseg,"):
        open_nuclei_set(tmp_path)
    pairs(tmp_path)
    with pytest.raises(NothingUsableError, match=r"as a set of nuclei \(consep\), is not; name"):
        open_nuclei_set(tmp_path, "consep")
    with pytest.raises(ManifestError, match="gone: no such folder"):
        open_nuclei_set(tmp_path / "gone")


def test_refuses_images_of_one_name(tmp_path):
    monuseg(tmp_path)
    picture(tmp_path / "copy" / "TCGA-2Z-A9J9-01A-01-TS1.tif")
    with pytest.raises(
        ManifestError, match=r"files must have names of their own, .* are both 'TCG"
    ):
        open_nuclei_set(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("instance16", "semantic", "mask_kind in row 2 must be instance16, got 'semantic'"),
        ("0.5", "0,5", "row 2 has 8 cells, not 7"),
        ("0.5", "fine", "mpp in row 2 must be a number above 0, got 'fine'"),
        (",train,", ",val,", "challenge_part in row 2 must be train or test, got 'val'"),
        ("mask,", "picture,", "needs the columns image and mask; add what is missing"),
    ],
)
def test_refuses_tables_that_break_a_rule(tmp_path, old, new, message):
    table(tmp_path)
    path = tmp_path / "labels.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ManifestError, match=rf"labels\.csv: .*{message}"):
        open_nuclei_set(tmp_path)


def test_a_table_needs_no_more_than_images_and_masks(tmp_path):
    table(tmp_path)
    (tmp_path / "labels.csv").write_text("image,mask\nimages/a-1.webp,masks/a-1.png\n")
    (image,) = open_nuclei_set(tmp_path)
    assert (image.name, image.patient_id, image.split, image.mpp) == ("a-1", "a-1", "", None)


class TestSplitting:
    def images(self, *patients, split=""):
        return tuple(
            LabelledImage(f"{patient}{k}", patient, split, None, Path(patient), Path(), None)
            for k, patient in enumerate(patients)
        )

    def test_halves_the_patients_and_keeps_them_whole(self):
        images = self.images(*"aabbccddeeff")
        parted = split_images(images, seed=0)
        parts = {image.patient_id: set() for image in parted}
        for image in parted:
            parts[image.patient_id].add(image.split)
        assert sorted(map(tuple, parts.values())) == [("test",)] * 3 + [("train",)] * 3
        assert [image.name for image in parted] == [image.name for image in images]

    def test_is_the_same_for_the_same_seed_and_another_for_others(self):
        images = self.images(*"abcdefghijkl")
        assert split_images(images, 1) == split_images(images, 1)
        assert len({split_images(images, seed) for seed in range(6)}) > 1

    def test_leaves_the_parts_of_a_set_as_they_are(self):
        images = self.images("a", split="train") + self.images("b", split="test")
        assert split_images(images, seed=0) == images

    def test_refuses_what_cannot_be_parted(self):
        with pytest.raises(ManifestError, match="a: is in neither train nor test, others are; say"):
            split_images(self.images("a") + self.images("b", split="test"), 0)
        with pytest.raises(ManifestError, match="at least 2 patients can be parted, got 1; add"):
            split_images(self.images("a", "a"), 0)
