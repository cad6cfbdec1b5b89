"""Slides without a label: who learns from them, and that nobody does who is tested on them."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cohort.test_splits import cohort, table_of
from wsikd.cohort import (
    SplitSettings,
    about_splits,
    assign_folds,
    split_by_patient,
    splits_of_fold,
)
from wsikd.cohort.unlabelled import about_unlabelled
from wsikd.errors import LeakageError, ManifestError


def with_unlabelled(patients=("a0", "a1", "a2", "a3", "a4", "a5", "new"), split=""):
    """Six labelled patients, and a slide without a label of each that is named."""
    extra = [
        {"slide_id": f"u-{name}", "path": f"/u-{name}", "patient_id": name, "split": split}
        for name in patients
    ]
    return pd.concat([cohort(a=6), table_of(extra)], ignore_index=True)


def with_stated(split, label):
    """Six labelled patients, dealt, and an auxiliary slide of one that is in this split."""
    dealt = split_by_patient(cohort(a=6))
    patient = dealt.loc[dealt["split"] == split, "patient_id"].iloc[0]
    extra = {"slide_id": "u", "path": "/u", "patient_id": patient, "label": label}
    return pd.concat([dealt, table_of([extra | {"split": "auxiliary"}])], ignore_index=True)


def split_of(table, name):
    return table.set_index("slide_id").at[name, "split"]


def split_of_patient(table, patient):
    labelled = table[(table["label"] != "") & (table["patient_id"] == patient)]
    (split,) = set(labelled["split"])
    return split


class TestSplitting:
    def test_leaves_unlabelled_slides_out_and_deals_the_others_as_without_them(self):
        dealt, alone = split_by_patient(with_unlabelled()), split_by_patient(cohort(a=6))
        assert set(dealt.loc[dealt["label"] == "", "split"]) == {""}
        assert dealt.loc[dealt["label"] != "", "split"].tolist() == alone["split"].tolist()

    @pytest.mark.parametrize("seed", range(4))
    def test_makes_all_auxiliary_and_learns_from_those_whose_patients_are_not_tested(self, seed):
        dealt = split_by_patient(with_unlabelled(), seed=seed, unlabelled="auxiliary")
        assert set(dealt.loc[dealt["label"] == "", "split"]) == {"auxiliary"}
        learnt = splits_of_fold(dealt, None)
        assert split_of(learnt, "u-new") == "auxiliary"
        for number in range(6):
            trained = split_of_patient(dealt, f"a{number}") == "train"
            assert split_of(learnt, f"u-a{number}") == ("auxiliary" if trained else "")

    def test_may_be_dealt_again_with_another_seed(self):
        dealt = with_unlabelled()
        for seed, how in enumerate(("auxiliary", None, "auxiliary", None)):
            dealt = split_by_patient(dealt, seed=seed, unlabelled=how)
        once = split_by_patient(with_unlabelled(), seed=3, unlabelled="auxiliary")
        pd.testing.assert_frame_equal(dealt, once)

    def test_leaves_those_auxiliary_that_are_unless_all_are_left_out(self):
        table = with_unlabelled(("new",), split="auxiliary")
        assert split_of(split_by_patient(table), "u-new") == "auxiliary"
        assert split_of(split_by_patient(table, unlabelled="refuse"), "u-new") == "auxiliary"
        assert split_of(split_by_patient(table, unlabelled="leave-out"), "u-new") == ""

    def test_refuses_an_unlabelled_slide_if_asked_to(self):
        with pytest.raises(ManifestError, match=r"label of slide 'u-a0' in row 14 is empty; fill "):
            split_by_patient(with_unlabelled(), unlabelled="refuse")

    def test_needs_no_patient_of_a_slide_that_takes_no_part(self):
        table = with_unlabelled(("",))
        splits_of_fold(split_by_patient(table), None)
        with pytest.raises(ManifestError, match="patient_id of slide 'u-' in row 14 is empty"):
            split_by_patient(table, unlabelled="auxiliary")


class TestLearning:
    def test_leaves_an_unlabelled_slide_out_whatever_its_split(self):
        table = split_by_patient(cohort(a=6))
        table.loc[3, "label"] = ""
        splits = splits_of_fold(table, None)
        assert splits.at[3, "split"] == ""
        assert len(splits) == len(table)

    @pytest.mark.parametrize("split", ["val", "test"])
    def test_leaves_an_auxiliary_slide_of_a_tested_patient_out_whoever_wrote_it(self, split):
        table = with_stated(split, label="")
        assert split_of(table, "u") == "auxiliary"
        assert split_of(splits_of_fold(table, None), "u") == ""

    @pytest.mark.parametrize("split", ["val", "test"])
    def test_refuses_an_auxiliary_slide_of_a_tested_patient_if_it_has_a_label(self, split):
        table = with_stated(split, label="a")
        with pytest.raises(LeakageError) as refusal:
            splits_of_fold(table, None)
        (patient,) = table.loc[table["slide_id"] == "u", "patient_id"]
        assert str(refusal.value) == (
            f"manifest: patient_id '{patient}' is in split auxiliary and {split}; give slide 'u' "
            f"the split {split}, or clear its label, so that it is left out"
        )
        splits_of_fold(table.replace({"split": {"auxiliary": split}}), None)
        splits_of_fold(table.assign(label=table["label"].mask(table["slide_id"] == "u", "")), None)

    def test_refuses_the_file_of_a_tested_slide_though_it_were_left_out(self):
        table = with_stated("test", label="")
        (patient,) = table.loc[table["slide_id"] == "u", "patient_id"]
        path = table.loc[table["patient_id"] == patient, "path"].iloc[0]
        table.loc[table["slide_id"] == "u", "path"] = path
        with pytest.raises(LeakageError, match=f"path '{path}' is in split auxiliary and test"):
            splits_of_fold(table, None)

    @given(seed=st.integers(0, 99), later=st.integers(0, 99))
    def test_from_no_slide_of_a_patient_who_is_validated_or_tested(self, seed, later):
        dealt = split_by_patient(with_unlabelled(), seed=seed, unlabelled="auxiliary")
        splits = splits_of_fold(split_by_patient(dealt, seed=later), None)
        learnt = set(splits.loc[splits["split"].isin(("train", "auxiliary")), "patient_id"])
        judged = set(splits.loc[splits["split"].isin(("val", "test")), "patient_id"])
        assert not learnt & judged
        auxiliary = set(splits.loc[splits["split"] == "auxiliary", "patient_id"])
        assert auxiliary == set(splits.loc[splits["split"] == "train", "patient_id"]) | {"new"}

    @given(seed=st.integers(0, 99))
    def test_in_no_fold_from_a_slide_of_a_patient_whom_it_validates_or_tests(self, seed):
        dealt = assign_folds(with_unlabelled(), 3, seed, "auxiliary")
        for fold in range(3):
            splits = splits_of_fold(dealt, fold)
            learnt = set(splits.loc[splits["split"].isin(("train", "auxiliary")), "patient_id"])
            judged = set(splits.loc[splits["split"].isin(("val", "test")), "patient_id"])
            assert not learnt & judged
            auxiliary = splits.loc[splits["split"] == "auxiliary", "slide_id"]
            assert len(auxiliary) == 1 + 2  # of the new patient, and of the two of one fold
            assert "u-new" in set(auxiliary)

    def test_takes_no_class_from_an_auxiliary_slide_that_is_left_out(self):
        table = assign_folds(cohort(a=6), 3)
        foreign = {"slide_id": "x", "path": "/x", "patient_id": "a0", "label": "z"}
        table = pd.concat([table, table_of([foreign | {"split": "auxiliary"}])], ignore_index=True)
        for fold in range(3):
            splits_of_fold(table, fold)  # z is no class that training lacks


class TestTelling:
    def test_says_how_many_are_left_out_and_the_first(self):
        dealt = split_by_patient(with_unlabelled())
        fact = "slides without a label that are left out: 7 of 19, first 'u-a0'"
        assert about_unlabelled(dealt) == [fact]

    def test_advises_only_where_nobody_has_decided(self):
        dealt = split_by_patient(with_unlabelled())
        fact = "slides without a label that are left out: 7 of 19, first 'u-a0'"
        advice = "; label them, or let students learn from them with split auxiliary"
        assert about_splits(dealt, SplitSettings()) == [fact + advice]
        assert about_splits(dealt, SplitSettings(unlabelled="leave-out")) == [fact]

    def test_says_who_is_left_out_because_the_patient_is_tested(self):
        dealt = split_by_patient(with_unlabelled(), unlabelled="auxiliary")
        tested = [n for n in range(6) if split_of_patient(dealt, f"a{n}") != "train"]
        why = (
            f"auxiliary slides that are left out: {len(tested)} of 19, first 'u-a{tested[0]}'; "
            "their patients are validated or tested"
        )
        assert about_unlabelled(dealt) == [why]
        dealt.loc[dealt["slide_id"] == "u-new", "split"] = ""
        assert about_unlabelled(dealt) == [
            "slides without a label that are left out: 1 of 19, first 'u-new'",
            why,
        ]

    def test_says_which_are_left_out_of_some_folds(self):
        assert about_unlabelled(assign_folds(with_unlabelled(), 3, unlabelled="auxiliary")) == [
            (
                "auxiliary slides that belong to a fold: 6 of 19, first 'u-a0'; they are left out "
                "where it is validated or tested"
            )
        ]

    def test_says_nothing_of_a_cohort_with_all_labels(self):
        assert about_unlabelled(split_by_patient(cohort(a=6))) == []
        assert about_unlabelled(with_unlabelled(("new",), split="auxiliary")) == []
