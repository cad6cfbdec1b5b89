"""Cells that may not mean what they are taken for: told, and taken all the same."""

import pytest

from tests.unit.cohort.test_splits import cohort, table_of
from wsikd.cohort import find_doubts


@pytest.mark.parametrize(
    "value", ["NA", "n/a", "NaN", "Unknown", "-", "not available", "#N/A", "#NAME?"]
)
def test_slides_without_a_known_patient_are_told_to_be_taken_for_one(value):
    table = table_of([{"patient_id": value, "label": "a"}] * 12)
    assert find_doubts(table) == [
        (
            f"patient_id is '{value}' of 12 slides, which are taken for one patient; name their "
            "patients"
        )
    ]


def test_a_single_slide_of_an_unknown_patient_is_one_patient_indeed():
    assert find_doubts(table_of([{"patient_id": "NA", "label": "a"}])) == []


def test_a_label_that_says_nothing_is_told_to_be_a_class():
    table = table_of([{"patient_id": f"p{k}", "label": label} for k, label in enumerate("a--")])
    assert find_doubts(table) == [
        (
            "label is '-' of 2 slides, which are taken for one class; leave the cell empty if "
            "it is not known"
        )
    ]
    (note,) = find_doubts(table_of([{"label": "nan"}]))
    assert note.startswith("label is 'nan' of 1 slide, which is taken for one class")


@pytest.mark.parametrize("column", ["patient_id", "label"])
def test_values_that_differ_in_case_or_blanks_alone_are_told(column):
    names = ("Lung tumor", "lung  Tumor", "Lung", "lung", "colon")
    table = table_of([{column: name} for name in names])
    assert find_doubts(table) == [
        (
            f"{column} has 'Lung' and 'lung' (and 1 more), which are taken for two; write them "
            "alike if they are one"
        )
    ]


def test_a_number_that_a_spreadsheet_rounded_is_told():
    table = table_of([{"patient_id": name} for name in ("1.23457E+11", "2E10", "E+11", "p1")])
    assert find_doubts(table) == [
        (
            "patient_id has '1.23457E+11', a number that a spreadsheet rounded; format the column "
            "as text and enter it again"
        )
    ]


def test_sites_are_looked_at_where_they_matter():
    table = table_of([{"site": "Ulm"}, {"site": "ulm"}, {"site": "NA"}])
    assert find_doubts(table) == []
    assert [note.partition(" ")[0] for note in find_doubts(table, by_site=True)] == ["site", "site"]


def test_there_is_nothing_to_say_of_plain_names():
    assert find_doubts(cohort(normal=3, none=3, nana=3)) == []
