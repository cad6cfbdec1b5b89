from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsikd.columns import COLUMNS
from wsikd.errors import ConfigError, LeakageError, ManifestError, NothingUsableError
from wsikd.manifest import (
    assign_folds,
    check_no_leak,
    classes_of,
    fold_count,
    is_split,
    manifest_from_folder,
    read_manifest,
    split_by_patient,
    splits_of_fold,
    write_manifest,
)


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "slides.csv"
    path.write_text(text, encoding=encoding)
    return path


def table_of(rows: list[dict[str, str]]) -> pd.DataFrame:
    """A manifest in memory; what a row leaves out is empty."""
    empty = dict.fromkeys(COLUMNS, "")
    return pd.DataFrame(
        [empty | {"slide_id": f"s{k}", "path": f"/s{k}.svs"} | row for k, row in enumerate(rows)]
    )


def cohort(**patients: int) -> pd.DataFrame:
    """As many patients of each label as asked for, two slides each."""
    return table_of(
        [
            {"patient_id": f"{label}{number}", "label": label}
            for label, count in patients.items()
            for number in range(count)
            for _ in range(2)
        ]
    )


def patients_by(table: pd.DataFrame, column: str) -> dict[str, set[str]]:
    return {place: set(rows["patient_id"]) for place, rows in table.groupby(column)}


class TestReading:
    def test_keeps_ids_as_text_and_unknown_columns(self, tmp_path):
        path = write(tmp_path, "slide_id,patient_id,path,scanner\n0007,010,a.svs,NA\n")
        row = read_manifest(path).iloc[0]
        assert (row["slide_id"], row["patient_id"], row["scanner"]) == ("0007", "010", "NA")

    def test_adds_missing_columns_as_empty_text(self, tmp_path):
        table = read_manifest(write(tmp_path, "note,path\nold,a.svs\n"))
        assert list(table.columns) == [*COLUMNS, "note"]
        assert table.loc[0, ["label", "split", "mpp", "mask_path"]].tolist() == [""] * 4

    def test_ignores_a_byte_order_mark_blanks_and_empty_lines(self, tmp_path):
        text = " slide_id , path\r\n\r\n a , b.svs \r\n,\r\n"
        table = read_manifest(write(tmp_path, text, "utf-8-sig"))
        assert table["slide_id"].tolist() == ["a"]
        assert table["path"].tolist() == [str(tmp_path / "b.svs")]

    def test_takes_paths_relative_to_its_folder_and_keeps_absolute_ones(self, tmp_path):
        text = "slide_id,path,mask_path\na,in/a.svs,m.png\nb,/far/b.svs,\n"
        table = read_manifest(write(tmp_path, text))
        assert table["path"].tolist() == [str(tmp_path / "in/a.svs"), "/far/b.svs"]
        assert table["mask_path"].tolist() == [str(tmp_path / "m.png"), ""]

    def test_knows_columns_by_a_neighbours_name(self, tmp_path):
        table = read_manifest(write(tmp_path, "SLIDE,Case_ID,wsi\na,p,/a.svs\n"))
        assert table.loc[0, ["slide_id", "patient_id", "path"]].tolist() == ["a", "p", "/a.svs"]

    def test_names_slides_after_their_files_when_there_are_no_ids(self, tmp_path):
        table = read_manifest(write(tmp_path, "path\nin/a.svs\nin/b.ome.tif\n"))
        assert table["slide_id"].tolist() == ["a", "b.ome"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "holds no slide"),
            ("slide_id,path\n", "holds no slide"),
            ("slide\npath\n", "needs a column path, has slide_id; add the column path"),
            *(
                (text, f"must be CSV, is separated by {found}; separate the columns by commas")
                for text, found in (
                    ("slide_id;path\na;b.svs\n", "semicolons"),
                    ('\n"slide_id";"path";"mpp"\n"a";"b.svs";"0,25"\n', "semicolons"),
                    ("slide_id\tpath\na\tb.svs\n", "tabs"),
                )
            ),
            ("slide_id,path,path\na,b,c\n", "column 'path' is there twice; rename one"),
            ("slide_id,path\na\n", "row 2 has 1 cells, not 2"),
            ('slide_id,path\n"a,b.svs\n', "must be CSV in UTF-8; unexpected end of data"),
            (
                "slide_id,path\na,1.svs\nb,2.svs\na,3.svs\n",
                "slide_id 'a' is in rows 2 and 4; give each slide its own",
            ),
            ("slide_id,path\na,\n", "path of slide 'a' in row 2 is empty; fill it in"),
            (
                "slide_id,path\n../a,b\n",
                "slide_id of slide '../a' must be usable as the name of a ",
            ),
            (
                f"slide_id,path\n{'a' * 201},b\n",
                f"slide_id of slide '{'a' * 201}' must be usable as the name of a folder, of at ",
            ),
            (
                "slide_id,path,split\na,b,dev\n",
                "split of slide 'a' must be one of train, val, test, auxiliary, got 'dev'",
            ),
            (
                "slide_id,path,fold\na,b,-1\n",
                "fold of slide 'a' must be a whole number from 0, got",
            ),
            (
                "slide_id,path,mpp\na,b,0.25um\n",
                "mpp of slide 'a' must be a number above 0, got '0",
            ),
            (
                "slide_id,path,mpp\na,b,nan\n",
                "mpp of slide 'a' must be a number above 0, got 'nan'",
            ),
            (
                "slide_id,path,objective_power\na,b,0\n",
                "objective_power of slide 'a' must be a num",
            ),
        ],
    )
    def test_refuses_in_one_line_that_names_the_file(self, tmp_path, text, message):
        path = write(tmp_path, text)
        with pytest.raises(ManifestError) as refusal:
            read_manifest(path)
        assert str(refusal.value).startswith(f"{path}: {message}")
        assert "\n" not in str(refusal.value)

    def test_refuses_another_encoding(self, tmp_path):
        with pytest.raises(ManifestError, match="must be CSV in UTF-8"):
            read_manifest(write(tmp_path, "slide_id,path\nMüller,a.svs\n", "latin-1"))

    def test_says_which_command_makes_a_missing_manifest(self, tmp_path):
        with pytest.raises(ManifestError, match=r"slides\.csv: no such file; wsikd prepare"):
            read_manifest(tmp_path / "slides.csv")


class TestWriting:
    def test_reads_back_the_same(self, tmp_path):
        text = 'slide_id,path,label,note\n0007,in/a.svs,NA,"a, ""b"""\nb,/far/b.svs,,é\n'
        table = read_manifest(write(tmp_path, text))
        write_manifest(table, tmp_path / "again.csv")
        pd.testing.assert_frame_equal(read_manifest(tmp_path / "again.csv"), table)

    def test_keeps_paths_below_its_folder_when_the_folder_moves(self, tmp_path):
        before, after = tmp_path / "before", tmp_path / "after"
        before.mkdir()
        write_manifest(read_manifest(write(before, "path\nin/a.svs\n")), before / "slides.csv")
        before.rename(after)
        assert read_manifest(after / "slides.csv").at[0, "path"] == str(after / "in/a.svs")


class TestFolder:
    def test_names_and_places_each_slide(self, tmp_path):
        for name in ("b.svs", "a.tif", "notes.txt"):
            (tmp_path / name).touch()
        table = manifest_from_folder(tmp_path)
        assert table["slide_id"].tolist() == ["a", "b"]
        assert table["path"].tolist() == [str(tmp_path / "a.tif"), str(tmp_path / "b.svs")]
        assert list(table.columns) == list(COLUMNS)

    def test_prefers_the_folders_own_table(self, tmp_path):
        (tmp_path / "b.svs").touch()
        write(tmp_path, "slide_id,path\nmine,b.svs\n")
        assert manifest_from_folder(tmp_path)["slide_id"].tolist() == ["mine"]

    def test_finds_the_slides_of_a_table_without_paths_by_their_names(self, tmp_path):
        for name in ("b.svs", "a.b.tif", "c.svs", "c.tif"):
            (tmp_path / name).touch()
        write(tmp_path, "slide_id,label\nc.tif,x\nb,y\na.b,x\n")
        table = manifest_from_folder(tmp_path)
        found = [str(tmp_path / name) for name in ("c.tif", "b.svs", "a.b.tif")]
        assert table["path"].tolist() == found

    def test_names_the_slide_that_a_table_without_paths_does_not_find(self, tmp_path):
        (tmp_path / "b.svs").touch()
        write(tmp_path, "slide_id,label\nb,x\nz,y\n")
        with pytest.raises(ManifestError) as refused:
            manifest_from_folder(tmp_path)
        assert str(refused.value).startswith(f"{tmp_path}: holds no slide named 'z'; ")

    def test_refuses_to_choose_between_two_tables(self, tmp_path):
        for name in ("x.csv", "y.csv"):
            (tmp_path / name).touch()
        with pytest.raises(ManifestError, match=r"one CSV file can be its manifest, has x.csv, y"):
            manifest_from_folder(tmp_path)

    def test_refuses_a_folder_that_is_empty_or_not_there(self, tmp_path):
        with pytest.raises(NothingUsableError, match=r"holds no slide; put files of .svs, .*, dir"):
            manifest_from_folder(tmp_path)
        with pytest.raises(ManifestError, match="nowhere: no such folder"):
            manifest_from_folder(tmp_path / "nowhere")

    @pytest.mark.parametrize("name", ["a.svs", "cohort.csv"])
    def test_says_what_to_give_in_place_of_a_file(self, tmp_path, name):
        (tmp_path / name).touch()
        with pytest.raises(ManifestError) as refused:
            manifest_from_folder(tmp_path / name)
        assert str(refused.value) == (
            f"{tmp_path / name}: must be a folder of slides, is a file; give its folder, or a CSV "
            "file with --manifest"
        )

    def test_lists_every_real_slide_also_the_broken_ones(self, shared_data):
        counts = {name: len(manifest_from_folder(shared_data / name)) for name in _REAL_COUNTS}
        assert counts == _REAL_COUNTS


_REAL_COUNTS = {"slides": 15, "dicom": 4, "bad": 4, "atlas_organ": 30}


class TestSplitting:
    def test_gives_seventy_fifteen_fifteen_of_each_class(self):
        table = split_by_patient(cohort(normal=100, sprue=100, other=100))
        for label in ("normal", "sprue", "other"):
            patients = patients_by(table[table["label"] == label], "split")
            sizes = {split: len(found) for split, found in patients.items()}
            assert sizes == {"train": 70, "val": 15, "test": 15}

    def test_does_not_depend_on_the_order_of_rows(self):
        table = cohort(a=9, b=7)
        mixed = table.sample(frac=1, random_state=3)
        pd.testing.assert_frame_equal(
            split_by_patient(mixed, seed=5).sort_index(), split_by_patient(table, seed=5)
        )

    def test_changes_with_the_seed(self):
        table = cohort(a=20, b=20)
        assert not split_by_patient(table, seed=0).equals(split_by_patient(table, seed=1))

    def test_leaves_a_split_out_whose_fraction_is_0(self):
        table = split_by_patient(cohort(a=10), (0.8, 0.0, 0.2))
        sizes = {split: len(found) for split, found in patients_by(table, "split").items()}
        assert sizes == {"train": 8, "test": 2}

    def test_keeps_auxiliary_slides_and_clears_the_folds(self):
        table = pd.concat(
            [
                assign_folds(cohort(a=5), folds=3),
                table_of(
                    [{"slide_id": "x", "path": "/x", "patient_id": "x", "split": "auxiliary"}]
                ),
            ]
        )
        table = split_by_patient(table)
        assert table.loc[table["slide_id"] == "x", "split"].tolist() == ["auxiliary"]
        assert fold_count(table) is None

    @given(
        patients=st.lists(
            st.lists(st.sampled_from("ab"), min_size=1, max_size=3), min_size=1, max_size=30
        ),
        seed=st.integers(0, 99),
    )
    def test_never_puts_a_patient_in_two_splits(self, patients, seed):
        sure = [[label] for label in "ab" for _ in range(3)]
        table = table_of(
            [
                {"patient_id": str(number), "label": label}
                for number, labels in enumerate(patients + sure)
                for label in labels
            ]
        )
        check_no_leak(split_by_patient(table, seed=seed))
        check_no_leak(assign_folds(table, 3, seed=seed))

    def test_refuses_a_class_with_too_few_patients(self):
        with pytest.raises(ManifestError, match=r"label 'rare' has 2 patients, needs 3; add patie"):
            split_by_patient(cohort(rare=2, common=9))
        with pytest.raises(ManifestError, match="label 'rare' has 4 patients, needs 5"):
            assign_folds(cohort(rare=4, common=9), folds=5)

    @pytest.mark.parametrize("fractions", [(0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5)])
    def test_refuses_fractions_that_do_not_add_up(self, fractions):
        with pytest.raises(ConfigError, match="fractions must be at least 0, train above 0, sum 1"):
            split_by_patient(cohort(a=9), fractions)

    def test_refuses_an_empty_patient_id_and_names_the_column(self, tmp_path):
        table = read_manifest(write(tmp_path, "slide_id,path,label\na,a.svs,x\n"))
        with pytest.raises(
            ManifestError, match=r"slides.csv: patient_id of slide 'a' in row 2 is empty; fill in "
        ):
            split_by_patient(table)

    def test_refuses_a_missing_label_by_slide(self):
        table = cohort(a=5)
        table.loc[3, "label"] = ""
        with pytest.raises(ManifestError, match=r"label of slide 's3' in row 5 is empty; .* auxil"):
            split_by_patient(table)

    @pytest.mark.parametrize("divide", [split_by_patient, lambda table: assign_folds(table, 3)])
    def test_refuses_a_patient_who_is_auxiliary_and_not(self, divide):
        table = cohort(a=5)
        table.loc[0, "split"] = "auxiliary"
        with pytest.raises(LeakageError, match=r"patient_id 'a0' is in .* auxiliary"):
            divide(table)


class TestFolds:
    def test_differ_by_one_patient_at_most_in_all_and_in_each_class(self):
        table = assign_folds(cohort(colon=10, liver=7, bowel=6, stomach=7), folds=3)
        for rows in (table, *(rows for _, rows in table.groupby("label"))):
            sizes = [len(found) for found in patients_by(rows, "fold").values()]
            assert max(sizes) - min(sizes) <= 1
        assert fold_count(table) == 3

    def test_test_on_each_patient_once_and_validate_on_the_next_fold(self):
        table = assign_folds(cohort(a=8), folds=4)
        folds = patients_by(table, "fold")
        for k in range(4):
            splits = patients_by(splits_of_fold(table, k), "split")
            assert splits["test"] == folds[str(k)]
            assert splits["val"] == folds[str((k + 1) % 4)]
            assert splits["train"] == folds[str((k + 2) % 4)] | folds[str((k + 3) % 4)]

    def test_leave_auxiliary_slides_auxiliary(self):
        extra = table_of([{"slide_id": "x", "path": "/x", "patient_id": "x", "split": "auxiliary"}])
        table = assign_folds(pd.concat([cohort(a=3), extra], ignore_index=True), folds=3)
        splits = splits_of_fold(table, 1)
        assert splits.loc[splits["slide_id"] == "x", "split"].tolist() == ["auxiliary"]

    def test_are_at_least_three(self):
        with pytest.raises(ConfigError, match=r"folds must be at least 3 .*, got 2"):
            assign_folds(cohort(a=9), folds=2)

    def test_count_without_a_gap(self):
        table = table_of([{"fold": "0"}, {"fold": "2"}])
        with pytest.raises(ManifestError, match="folds must count from 0 without a gap, has 0, 2"):
            fold_count(table)


class TestLearningFrom:
    def test_takes_the_column_split_without_a_fold(self):
        table = split_by_patient(cohort(a=6, b=6))
        pd.testing.assert_frame_equal(splits_of_fold(table, None), table)

    def test_refuses_a_slide_without_a_split(self):
        table = split_by_patient(cohort(a=6))
        table.loc[2, "split"] = ""
        with pytest.raises(
            ManifestError, match="split of slide 's2' in row 4 is empty; run wsikd s"
        ):
            splits_of_fold(table, None)

    def test_refuses_a_fold_that_is_not_there(self):
        with pytest.raises(ManifestError, match="has no folds, not fold 0; run wsikd split"):
            splits_of_fold(cohort(a=6), 0)
        with pytest.raises(ManifestError, match="has folds 0 to 2, not fold 3"):
            splits_of_fold(assign_folds(cohort(a=6), 3), 3)

    def test_refuses_a_class_without_a_training_slide(self):
        table = split_by_patient(cohort(a=6, b=6))
        table.loc[(table["label"] == "b") & (table["split"] == "train"), "split"] = "test"
        with pytest.raises(ManifestError, match="no slide of label 'b' is in train"):
            splits_of_fold(table, None)

    @pytest.mark.parametrize("column", ["patient_id", "path"])
    @pytest.mark.parametrize("part", ["split", "fold"])
    def test_refuses_one_patient_or_file_in_two_places(self, column, part):
        places = {"split": ("test", "train"), "fold": ("0", "1")}[part]
        rows = [{"patient_id": f"p{place}", column: "same", part: place} for place in places]
        with pytest.raises(
            LeakageError, match=f"{column} 'same' is in {part} {places[0]} and {places[1]}; keep"
        ):
            check_no_leak(table_of(rows))

    def test_takes_classes_from_slides_that_are_not_auxiliary(self):
        rows = [{"label": "b"}, {"label": "a"}, {"label": "c", "split": "auxiliary"}, {}]
        assert classes_of(table_of(rows)) == ("a", "b")

    def test_knows_whether_anything_was_split(self):
        assert not is_split(table_of([{"split": "auxiliary"}, {}]))
        assert is_split(table_of([{"split": "train"}]))
        assert is_split(table_of([{"fold": "0"}]))
