"""Folds by site: each hospital is tested by models that have seen nothing of it."""

import pandas as pd
import pytest

from tests.unit.cohort.test_splits import cohort, table_of
from wsikd.cohort import (
    SplitSettings,
    about_cohort,
    assign_site_folds,
    deal,
    site_of_fold,
    splits_of_fold,
)
from wsikd.cohort.sites import about_sites
from wsikd.errors import LeakageError, ManifestError

SITES = ("Ulm", "Bern", "Graz", "Linz")


def of_sites(sites=SITES, **patients):
    """Patients of each label at the sites in turn, two slides each."""
    table = cohort(**(patients or {"a": 8, "b": 8}))
    at = {patient: sites[k % len(sites)] for k, patient in enumerate(table["patient_id"].unique())}
    return table.assign(site=table["patient_id"].map(at))


def sites_by_split(table):
    return {split: set(rows["site"]) for split, rows in table.groupby("split")}


def test_each_site_is_tested_once_validated_by_the_next_and_learnt_from_otherwise():
    table = assign_site_folds(of_sites())
    assert site_of_fold(table) == {"0": "Bern", "1": "Graz", "2": "Linz", "3": "Ulm"}
    for fold, tested, validated, trained in (
        (0, "Bern", "Graz", {"Linz", "Ulm"}),
        (3, "Ulm", "Bern", {"Graz", "Linz"}),
    ):
        assert sites_by_split(splits_of_fold(table, fold)) == {
            "test": {tested},
            "val": {validated},
            "train": trained,
        }


def test_the_order_of_rows_and_sites_does_not_matter():
    table = of_sites()
    mixed = table.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(
        assign_site_folds(mixed).sort_index(), assign_site_folds(table), check_like=True
    )


def test_it_is_asked_for_in_place_of_a_number():
    assert deal(of_sites(), SplitSettings(folds="site")).equals(assign_site_folds(of_sites()))


def test_an_auxiliary_slide_is_not_learnt_from_where_its_site_is_tested():
    extra = [
        {"slide_id": f"u{site}", "path": f"/u{site}", "patient_id": f"u{site}", "site": site}
        for site in (*SITES, "Rom")
    ]
    table = pd.concat([of_sites(), table_of(extra)], ignore_index=True)
    table = assign_site_folds(table, "auxiliary")
    for fold, (tested, validated) in enumerate((("Bern", "Graz"), ("Graz", "Linz"))):
        splits = splits_of_fold(table, fold)
        learnt = splits[splits["split"].isin(("train", "auxiliary"))]
        assert not set(learnt["site"]) & {tested, validated}
        auxiliary = set(splits.loc[splits["split"] == "auxiliary", "site"])
        assert auxiliary == {*SITES, "Rom"} - {tested, validated}


def test_a_patient_at_two_sites_is_refused_by_name():
    table = of_sites()
    table.loc[table["slide_id"] == "s1", "site"] = "Graz"  # the second slide of patient a0
    with pytest.raises(LeakageError, match="patient_id 'a0' is at site 'Graz' and 'Ulm'; correct"):
        assign_site_folds(table)


def test_an_empty_site_is_refused_by_name_unless_the_slide_takes_no_part():
    table = of_sites()
    table.loc[4, ["site", "label"]] = ""
    assert assign_site_folds(table).at[4, "fold"] == ""
    table.loc[6, "site"] = ""
    with pytest.raises(ManifestError, match="site of slide 's6' in row 8 is empty; fill it in, or"):
        assign_site_folds(table)


def test_fewer_than_three_sites_are_refused():
    message = r"must be of at least 3 sites \(test, val, train\), are of Bern, Ulm; ask"
    with pytest.raises(ManifestError, match=message):
        assign_site_folds(of_sites(("Ulm", "Bern")))


def test_a_class_that_no_training_site_has_is_refused_with_the_sites():
    table = of_sites()
    table.loc[(table["label"] == "b") & table["site"].isin(("Linz", "Ulm")), "label"] = "a"
    message = "no slide of label 'b' is left to train on when site 'Bern' is tested and 'Graz' val"
    with pytest.raises(ManifestError, match=message):
        assign_site_folds(table)


def test_a_site_without_a_class_is_told():
    table = of_sites()
    table.loc[(table["label"] == "b") & (table["site"] == "Linz"), "label"] = "a"
    assert about_sites(assign_site_folds(table)) == [
        "site 'Linz' has no slide of label 'b': fold 2 cannot be tested on it"
    ]


def test_beside_the_numbers_stand_what_each_fold_is_and_what_is_doubtful_of_its_name():
    table = of_sites(("Ulm", "Bern", "Graz", "NA"))
    table.loc[(table["label"] == "b") & (table["site"] == "Graz"), "label"] = "a"
    folds = "0 is 'Bern', 1 is 'Graz', 2 is 'NA', 3 is 'Ulm'"
    assert about_cohort(assign_site_folds(table)) == [
        "site is 'NA' of 8 slides, which are taken for one site; name their sites",
        f"each fold is a site, tested by models of other sites: {folds}",
        "site 'Graz' has no slide of label 'b': fold 1 cannot be tested on it",
    ]


def test_sites_are_not_told_of_where_folds_are_none():
    table = of_sites(("Ulm", "Bern", "Graz", "NA"))
    assert about_cohort(deal(table, SplitSettings(folds=3))) == []
    assert about_cohort(deal(table, SplitSettings())) == []


def test_folds_that_are_no_sites_are_not_taken_for_them():
    table = of_sites()
    assert site_of_fold(deal(table, SplitSettings(folds=4))) == {}
    assert about_sites(deal(table, SplitSettings(folds=4))) == []
    assert site_of_fold(table) == {}
