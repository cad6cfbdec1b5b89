from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsikd.cohort.columns import COLUMNS
from wsikd.cohort.manifest import read_manifest
from wsikd.cohort.splits import (
    assign_folds,
    check_no_leak,
    classes_of,
    fold_count,
    is_split,
    split_by_patient,
    splits_of_fold,
)
from wsikd.errors import ConfigError, LeakageError, ManifestError


def _read(folder: Path, text: str) -> pd.DataFrame:
    path = folder / "slides.csv"
    path.write_text(text)
    return read_manifest(path)


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
        table = _read(tmp_path, "slide_id,path,label\na,a.svs,x\n")
        with pytest.raises(
            ManifestError, match=r"slides.csv: patient_id of slide 'a' in row 2 is empty; fill in "
        ):
            split_by_patient(table)

    @pytest.mark.parametrize("split", ["", "train", "auxiliary"])
    @pytest.mark.parametrize("unlabelled", [None, "auxiliary", "leave-out"])
    def test_refuses_a_manifest_without_any_label_with_the_remedy(self, split, unlabelled):
        table = cohort(a=5).assign(label="", split=split)
        message = "^manifest: no slide has a label; fill in some labels"
        with pytest.raises(ManifestError, match=message):
            split_by_patient(table, unlabelled=unlabelled)
        with pytest.raises(ManifestError, match=message):
            assign_folds(table, 3, unlabelled=unlabelled)
        with pytest.raises(ManifestError, match=message):
            splits_of_fold(table, None)

    def test_refuses_a_manifest_whose_labels_are_all_of_auxiliary_slides(self):
        table = cohort(a=5).assign(split="auxiliary")
        message = "every slide with a label is auxiliary; clear the split of some"
        with pytest.raises(ManifestError, match=message):
            split_by_patient(table)

    def test_refuses_a_tested_patient_whose_slide_is_stated_as_auxiliary(self):
        table = cohort(a=5)
        tested = split_by_patient(table).query("split == 'test'").iloc[0]
        table.loc[tested.name, "split"] = "auxiliary"
        message = f"patient_id '{tested['patient_id']}' is in split auxiliary and test"
        with pytest.raises(LeakageError, match=message):
            split_by_patient(table)

    def test_lets_a_patient_be_learnt_from_with_labels_and_without(self):
        table = cohort(a=5)
        trained = split_by_patient(table).query("split == 'train'").iloc[0]
        table.loc[trained.name, "split"] = "auxiliary"
        dealt = split_by_patient(table)
        of_patient = dealt[dealt["patient_id"] == trained["patient_id"]]
        assert sorted(of_patient["split"]) == ["auxiliary", "train"]
        check_no_leak(dealt)


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

    @pytest.mark.parametrize("split", ["test", "auxiliary"])
    def test_a_file_is_known_however_its_path_is_spelt(self, split, tmp_path):
        (tmp_path / "link.svs").symlink_to(tmp_path / "s0.svs")
        for spelt in (tmp_path / ".." / tmp_path.name / "s0.svs", tmp_path / "link.svs"):
            rows = [
                {"patient_id": "p0", "path": str(tmp_path / "s0.svs"), "split": split},
                {"patient_id": "p1", "path": str(spelt), "split": "train"},
            ]
            with pytest.raises(LeakageError, match=f"path .* is in split {split} and train; keep"):
                check_no_leak(table_of(rows))

    def test_a_file_is_of_one_patient(self):
        rows = [{"patient_id": name, "path": "/d/same.svs"} for name in ("p1", "p2")]
        with pytest.raises(LeakageError) as refusal:
            check_no_leak(table_of(rows))
        assert str(refusal.value) == (
            "manifest: slides s0 and s1 are one file, of the patients 'p1' and 'p2'; keep one of "
            "them, or correct patient_id"
        )
        check_no_leak(table_of([row | {"patient_id": "p1"} for row in rows]))

    def test_takes_classes_from_slides_that_are_not_auxiliary(self):
        rows = [{"label": "b"}, {"label": "a"}, {"label": "c", "split": "auxiliary"}, {}]
        assert classes_of(table_of(rows)) == ("a", "b")

    def test_knows_whether_anything_was_split(self):
        assert not is_split(table_of([{"split": "auxiliary"}, {}]))
        assert is_split(table_of([{"split": "train"}]))
        assert is_split(table_of([{"fold": "0"}]))
