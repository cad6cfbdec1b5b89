import numpy as np
import pytest

from wsikd.cohort.splits import splits_of_fold
from wsikd.data.patches import PatchSettings, Place, open_patches
from wsikd.errors import ConfigError, LeakageError, ManifestError, NothingUsableError, StoreError


def settings(**given):
    return PatchSettings(**{"patch": 32, **given})


def write_table(tmp_path, *rows, header="slide_id,x,y"):
    path = tmp_path / "patches.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


class TestGrid:
    # the region has 160 x 120 pixels at 10x, 5 x 3 patches; tissue fills the left 112 columns
    @pytest.mark.parametrize(
        ("fraction", "columns"), [(0.0, 5), (0.4, 4), (0.5, 4), (0.6, 3), (1.0, 3)]
    )
    def test_keeps_patches_with_enough_tissue(self, make_workspace, fraction, columns):
        source = open_patches(settings(tissue_fraction=fraction), make_workspace())
        assert len(source.items) == 3 * columns

    def test_goes_row_by_row_through_each_region(self, make_workspace):
        source = open_patches(settings(), make_workspace(("s1", "s2")))
        assert [item.slide_id for item in source.items] == ["s1"] * 12 + ["s2"] * 12
        assert source.items[5].region_id == "region-000/x32-y32"
        assert source.name(5) == "s1/region-000/x32-y32"

    def test_takes_patients_labels_and_splits_of_the_slides(self, make_workspace):
        source = open_patches(settings(), make_workspace(("s1", "s2")))
        assert source.items[12][:2] == ("s2", "p-s2")
        assert source.items[12][3:] == ("train", "b")
        assert list(splits_of_fold(source.table, None)["label"]) == ["a"] * 12 + ["b"] * 12

    def test_cuts_the_pixels_of_the_store(self, make_workspace):
        source = open_patches(settings(stride=16), make_workspace())
        index = [item.region_id for item in source.items].index("region-000/x48-y16")
        region = source.store.read_pixels("s1", "region-000", 10.0)
        np.testing.assert_array_equal(source.read(index), region[16:48, 48:80])

    def test_places_a_patch_on_its_slide_in_um(self, make_workspace):
        source = open_patches(settings(), make_workspace())
        # the region begins at (40, 20) pixels of 0.5 µm; patch 5 at (32, 32) pixels of 1 µm
        assert source.place(5) == Place("s1", 20.0 + 32.0, 10.0 + 32.0, 32.0, 32.0)

    def test_says_when_no_patch_is_left(self, make_workspace):
        workspace = make_workspace()
        message = "no patch of 500 px at 10x with at least 50% tissue; lower --patch or --tissue"
        with pytest.raises(NothingUsableError, match=message):
            open_patches(settings(patch=500), workspace)

    def test_refuses_a_region_without_outline(self, make_workspace):
        with pytest.raises(StoreError, match="has no outline of region-000; remove the folder"):
            open_patches(settings(), make_workspace(outlines=False))

    def test_refuses_a_magnification_that_was_not_prepared(self, make_workspace):
        with pytest.raises(StoreError, match=r"2\.5x was not prepared, only 20x, 10x, 5x"):
            open_patches(settings(mag=2.5), make_workspace())


class TestTable:
    def test_cuts_where_it_says_in_level_0_pixels(self, make_workspace, tmp_path):
        table = write_table(tmp_path, "s1,104,52", "s1,40,20")
        source = open_patches(settings(table=table, mag=20), make_workspace())
        slide = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
        assert [item.region_id for item in source.items] == [
            "region-000/x0-y0",
            "region-000/x64-y32",
        ]
        np.testing.assert_array_equal(source.read(1), slide[52:84, 104:136])
        assert source.place(1) == Place("s1", 52.0, 26.0, 16.0, 16.0)

    def test_may_label_and_split_the_patches_of_one_slide(self, make_workspace, tmp_path):
        header = "slide_id,x,y,label,case_id,split"
        rows = ["s1,40,20,glands,block-1,train", "s1,104,20,,block-2,test"]
        table = write_table(tmp_path, *rows, header=header)
        source = open_patches(settings(table=table), make_workspace())
        assert [item[1:] for item in source.items] == [
            ("block-1", "region-000/x0-y0", "train", "glands"),
            ("block-2", "region-000/x32-y0", "test", "a"),
        ]

    def test_may_not_split_a_patient(self, make_workspace, tmp_path):
        table = write_table(tmp_path, "s1,40,20,0", "s1,104,20,1", header="slide_id,x,y,fold")
        source = open_patches(settings(table=table), make_workspace())
        assert list(source.table["split"]) == ["", ""]
        with pytest.raises(LeakageError, match="patient_id 'p-s1' is in fold 0 and 1; keep it in"):
            splits_of_fold(source.table.assign(split="train"), None)

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("s1,340,20,", "x 340, y 20 in row 2 is not inside a region of s1; take it out, or"),
            ("s9,40,20,", "slide 's9' in row 2 is not among the 1 prepared slides; prepare it"),
            ("s1,left,20,", "x in row 2 must be a number, got 'left'"),
            ("s1,40,inf,", "y in row 2 must be a number, got 'inf'"),
            ("s1,40,20,tests", "split in row 2 must be one of train, val, test, auxiliary, got"),
        ],
    )
    def test_refuses_a_row_that_breaks_a_rule(self, make_workspace, tmp_path, row, message):
        table = write_table(tmp_path, row, header="slide_id,x,y,split")
        with pytest.raises(ManifestError, match=message):
            open_patches(settings(table=table), make_workspace())

    def test_refuses_a_patch_twice(self, make_workspace, tmp_path):
        table = write_table(tmp_path, "s1,40,20", "s1,60,20", "s1,40,20")
        with pytest.raises(ManifestError, match="rows 2 and 4 are one patch of s1; take one out"):
            open_patches(settings(table=table), make_workspace())

    def test_refuses_a_table_without_places(self, make_workspace, tmp_path):
        table = write_table(tmp_path, "s1,40", header="slide_id,x")
        with pytest.raises(ManifestError, match="needs a column y, has slide_id, x; add it"):
            open_patches(settings(table=table), make_workspace())


def test_the_fingerprint_is_of_the_pixels_and_not_of_labels(make_workspace, tmp_path):
    workspace = make_workspace()
    before = open_patches(settings(), workspace).fingerprint
    text = workspace.manifest.read_text()
    workspace.manifest.write_text(text.replace(",a,train", ",b,test"))
    assert open_patches(settings(), workspace).fingerprint == before
    assert open_patches(settings(patch=31), workspace).fingerprint != before
    assert open_patches(settings(mag=5, patch=32), workspace).fingerprint != before
    table = write_table(tmp_path, "s1,40,20")
    assert open_patches(settings(table=table), workspace).fingerprint != before


def test_packs_what_it_reads(make_workspace):
    workspace = make_workspace(("s1", "s2"))
    source = open_patches(settings(), workspace)
    packed = source.pack(workspace.cache)
    assert packed.shape == (24, 32, 32, 3)
    for index in (0, 11, 12, 23):
        np.testing.assert_array_equal(packed[index], source.read(index))


def test_takes_a_folder_of_images_where_one_is_given(make_images, make_workspace):
    workspace = make_workspace()
    source = open_patches(settings(images=make_images(["1.png"]), mag=20), workspace)
    assert (source.size, source.magnification, source.place(0)) == ((12, 8), 20.0, None)


def test_refuses_images_to_test_on_alone(make_workspace, tmp_path):
    with pytest.raises(ConfigError, match="--test-images needs --images, the folder that is"):
        open_patches(settings(test_images=tmp_path), make_workspace())
